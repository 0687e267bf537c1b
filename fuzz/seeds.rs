//! Writes starting inputs for the fuzz targets from the reference vectors: `seeds VECTORS CORPORA`.
//!
//! One file without dependencies, compiled by `fuzz/run` with plain rustc: it must not be instrumented like the targets.

use std::path::Path;

/// The JSON strings of a text, unescaped well enough for seeds.
fn strings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            continue;
        }
        let mut string = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    Some('n') => string.push('\n'),
                    Some('b') => string.push('\u{8}'),
                    Some(other) => string.push(other),
                    None => break,
                },
                other => string.push(other),
            }
        }
        found.push(string);
    }
    found
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (vectors, corpora) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    for (target, files) in [
        ("record", &["records.json"][..]),
        ("text", &["blob_json.json", "query.json", "owner.json"]),
        ("payload", &["genesis.json", "comment.json", "masking.json"]),
        ("cert", &["cert.json"]),
    ] {
        let directory = Path::new(&corpora).join(target);
        std::fs::create_dir_all(&directory)?;
        let mut count = 0;
        for file in files {
            for string in strings(&std::fs::read_to_string(Path::new(&vectors).join(file))?) {
                let seed = unhex(&string).filter(|b| b.len() > 10).unwrap_or_else(|| string.into_bytes());
                if seed.len() > 10 && seed.len() < 4096 {
                    std::fs::write(directory.join(format!("seed-{count}")), seed)?;
                    count += 1;
                }
            }
        }
    }
    Ok(())
}
