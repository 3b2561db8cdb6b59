//! Writes the default scenes to a folder, with a contact sheet of the first left picture of each of 30 sequences:
//! `contact_sheet [folder]`.

use std::path::PathBuf;

use labelloop_core::Silent;
use labelloop_testkit::scenes::{SceneParams, contact_sheet, generate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).map_or_else(|| PathBuf::from("scenes"), PathBuf::from);
    let valid = SceneParams::default().check()?;
    let set = generate(&valid, &dir, &Silent)?;
    std::fs::write(dir.join("labels.json"), serde_json::to_vec(&set)?)?;
    let captures: Vec<_> =
        (0..30).filter_map(|g| valid.render_group(g).captures.into_iter().next()).collect();
    let cells: Vec<_> =
        captures.iter().map(|c| (&c.left, c.records[0].boxes.as_deref().unwrap_or_default())).collect();
    labelloop_media::save_png(&contact_sheet(&cells, 5)?, &dir.join("contact_sheet.png"))?;
    Ok(())
}
