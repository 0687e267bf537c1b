//! Links between pages: every file, every heading, every line of SUMMARY.md.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// All Markdown files below a directory.
pub(crate) fn markdown_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(markdown_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What is wrong with a file's links. Those of the handbook (`within`) must stay in it, or a reader of the book meets
/// nothing there.
pub(crate) fn problems(file: &Path, within: Option<&Path>) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut problems = Vec::new();
    for (line, link) in links(&text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) =
            link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let target = if path.is_empty() { file.to_owned() } else { file.parent().unwrap().join(path) };
        let mut problem = |what: &str| problems.push(format!("{}:{line}: {link}: {what}", file.display()));
        let Ok(target) = target.canonicalize() else {
            problem("no such file");
            continue;
        };
        if within.is_some_and(|within| !target.starts_with(within)) {
            problem("leads out of the handbook");
        }
        if let Some(anchor) = anchor
            && !headings(&std::fs::read_to_string(&target).unwrap_or_default()).contains(anchor)
        {
            problem("no such heading");
        }
    }
    problems
}

/// The lines of a text that are not code, with their numbers, and without what is code in them.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut code = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            let outside = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
            lines.push((at + 1, outside));
        }
    }
    lines
}

/// The targets of a text's links and pictures.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (at, line) in prose(text) {
        for opening in ["](", "src=\"", "srcset=\"", "href=\""] {
            for part in line.split(opening).skip(1) {
                let end = part.find([')', '"', ' ']).unwrap_or(part.len());
                links.push((at, part[..end].to_owned()));
            }
        }
    }
    links
}

/// The anchors of a text's headings, as mdBook and code hosts make them.
pub(crate) fn headings(text: &str) -> BTreeSet<String> {
    let mut code = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if code || title == line || !title.starts_with(' ') {
            continue;
        }
        let anchor: String = title
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
            .map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
            .collect();
        let again = (1..).map(|n| format!("{anchor}-{n}")).find(|other| !anchors.contains(other));
        match again {
            Some(again) if anchors.contains(&anchor) => anchors.insert(again),
            _ => anchors.insert(anchor),
        };
    }
    anchors
}

#[test]
fn links_and_headings_are_found() {
    let text = "# A `lf get`: b, c\n## B\n```text\n# no [x](y.md)\n```\n## B\n[a](b.md#c) `[no](no.md)` ![p](p.svg) <img src=\"q.png\">\n";
    let found: Vec<String> = links(text).into_iter().map(|(_, link)| link).collect();
    assert_eq!(found, ["b.md#c", "p.svg", "q.png"]);
    assert_eq!(headings(text).into_iter().collect::<Vec<_>>(), ["a-lf-get-b-c", "b", "b-1"]);
}
