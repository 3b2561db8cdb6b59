#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| labelloop_fuzz::tables(data));
