//! 100 MB of nested JSON: no stack overflows and memory stays within three times the file. Alone in its program, so that
//! the peak is its own.
#![allow(clippy::unwrap_used)]

use labelloop_formats::{ReadOptions, coco, fiftyone, label_studio};

const N: usize = 50_000_000;

/// Peak memory of this program in bytes, where the system says it.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kb| kb * 1024)
}

#[test]
fn a_hundred_megabytes_of_brackets() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, before: &str, after: &str| {
        let path = folder.path().join(name);
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        file.write_all(before.as_bytes()).unwrap();
        for bracket in [b'[', b']'] {
            let block = vec![bracket; 1 << 16];
            for _ in 0..N >> 16 {
                file.write_all(&block).unwrap();
            }
        }
        file.write_all(after.as_bytes()).unwrap();
        path
    };
    let head =
        "{\"images\": [], \"categories\": [{\"id\": 1, \"name\": \"car\"}], \"annotations\": [], \"deep\": ";
    let path = write("a.json", head, "}");
    assert_eq!(coco::read(&path, &Default::default()).unwrap().set.n_boxes(), 0);
    assert!(coco::read_rows(&path, Default::default()).is_ok());
    let path = write("tasks.json", "[{\"data\": ", "}]");
    assert_eq!(
        label_studio::read(&path, &ReadOptions::default()).map(|r| r.set.samples.len()).unwrap_or(0),
        0
    );
    write("samples.json", "{\"samples\": [{\"filepath\": \"a.png\", \"deep\": ", "}]}");
    std::fs::write(folder.path().join("metadata.json"), "{\"default_classes\": [\"car\"]}").unwrap();
    assert_eq!(fiftyone::read(folder.path(), &ReadOptions::default()).unwrap().set.samples.len(), 1);
    if let Some(peak) = peak() {
        assert!(peak <= 3 * 2 * N + (64 << 20), "{} MB at the peak", peak >> 20);
    }
}
