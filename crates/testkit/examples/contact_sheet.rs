//! Puts the first left picture of many sequences, with labels, on one PNG: `contact_sheet [out.png] [n_groups]`.

use std::path::PathBuf;

use labelloop_testkit::scenes::{SceneParams, contact_sheet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().map_or_else(|| PathBuf::from("contact_sheet.png"), PathBuf::from);
    let n_shown = args.next().map_or(Ok(30), |n| n.parse())?;
    let valid = SceneParams::default().check()?;
    let captures: Vec<_> =
        (0..n_shown).filter_map(|g| valid.render_group(g).captures.into_iter().next()).collect();
    let cells: Vec<_> =
        captures.iter().map(|c| (&c.left, c.records[0].boxes.as_deref().unwrap_or_default())).collect();
    labelloop_media::save_png(&contact_sheet(&cells, 5)?, &out)?;
    Ok(())
}
