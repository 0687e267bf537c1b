//! The handbook (docs/): what its pages tell people to type is typed, and what they show comes out; its links lead
//! somewhere; what is made from the program is what the program says now (`LF_UPDATE=1` writes it).
//!
//! `LF_PAGE=tutorial cargo test -p lf --test handbook -- --nocapture` runs pages of this name only, and shows what is
//! printed. How a page says what
//! is to be run, and how, is in `handbook/page.rs`.
#![allow(clippy::unwrap_used)]

#[path = "handbook/generated.rs"]
mod generated;
#[path = "handbook/links.rs"]
mod links;
#[path = "handbook/page.rs"]
mod page;
#[path = "handbook/session.rs"]
mod session;
mod support;
#[path = "support/tools.rs"]
mod tools;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use page::{Page, Step};
use session::{Terminal, World};

/// How long what is to happen eventually may take.
const EVENTUALLY: Duration = Duration::from_secs(60);

fn book() -> PathBuf {
    tools::project().join("docs/src")
}

fn name(file: &Path) -> String {
    file.strip_prefix(book()).unwrap_or(file).display().to_string()
}

#[test]
fn every_command_does_what_its_page_says() {
    let only = std::env::var("LF_PAGE").ok();
    let (mut ran, mut not_run, mut doctests, mut problems) = (0, 0, 0, Vec::new());
    let mut pages = Vec::new();
    for file in links::markdown_files(&book()) {
        match Page::parse(&std::fs::read_to_string(&file).unwrap()) {
            Ok(page) => pages.push((file, page)),
            Err(problem) => problems.push(format!("{}: {problem}", name(&file))),
        }
    }
    let mut skipped = false;
    for (file, page) in &pages {
        not_run += page.not_run;
        doctests += page.doctests;
        if page.steps.is_empty() || only.as_ref().is_some_and(|only| !name(file).contains(only)) {
            continue;
        }
        let mut needs = vec!["unshare", "nsenter", "ip", "bash"];
        needs.extend(page.needs.iter().map(String::as_str));
        let world = if tools::have(&needs) { World::new(Path::new(support::LF)) } else { None };
        let Some(world) = world else {
            skipped = true;
            eprintln!(
                "skipped: {}: it wants {needs:?}, and to be root: its nodes have a network of their own",
                name(file)
            );
            continue;
        };
        let start = Instant::now();
        match play(&world, page) {
            Ok((commands, wrong)) => {
                ran += commands;
                problems.extend(wrong.into_iter().map(|problem| format!("{}: {problem}", name(file))));
                eprintln!("{}: {commands} commands, {:.1} s", name(file), start.elapsed().as_secs_f64());
            }
            Err(problem) => problems.push(format!("{}: {problem}", name(file))),
        }
    }
    eprintln!("{ran} commands run; {not_run} blocks not run, with a reason; {doctests} for rustdoc");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(ran > 0 || skipped || only.is_some(), "the handbook has no commands");
}

/// Does all that a page says. Gives the number of commands, and those that did something else.
fn play(world: &World, page: &Page) -> Result<(usize, Vec<String>), String> {
    let mut wrong = Vec::new();
    let mut terminals: HashMap<String, Terminal> = HashMap::new();
    let mut count = 0;
    for step in &page.steps {
        match step {
            Step::File { name, content } => {
                let path = world.home().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            Step::Interrupt { line, terminal } => {
                let terminal =
                    terminals.get_mut(terminal).ok_or(format!("line {line}: no terminal {terminal}"))?;
                terminal.interrupt().map_err(|problem| format!("line {line}: {problem}"))?;
            }
            Step::Shows { line, terminal, wanted } => {
                let terminal =
                    terminals.get_mut(terminal).ok_or(format!("line {line}: no terminal {terminal}"))?;
                let shown = terminal.wait(|printed| page::matches(wanted, printed));
                shown.map_err(|problem| format!("line {line}: {problem}"))?;
            }
            Step::Setup { line, script } => {
                let terminal = terminals.entry(String::new()).or_insert_with(|| world.terminal());
                let ended =
                    terminal.run(script, |_| false).map_err(|problem| format!("line {line}: {problem}"))?;
                if ended.status != Some(0) {
                    return Err(format!("line {line}: the setup failed: {ended:?}"));
                }
            }
            Step::Run { terminal, eventually, fails, commands } => {
                let name = terminal.clone().unwrap_or_default();
                let shell = terminals.entry(name).or_insert_with(|| world.terminal());
                for (at, command) in commands.iter().enumerate() {
                    let last = at + 1 == commands.len();
                    if let Err(problem) =
                        run(shell, command, last && terminal.is_some(), *eventually, last && *fails)
                    {
                        wrong.push(format!("line {}: $ {}\n{problem}", command.line, command.text));
                    }
                    count += 1;
                }
            }
        }
    }
    Ok((count, wrong))
}

fn run(
    shell: &mut Terminal,
    command: &page::Command,
    may_go_on: bool,
    eventually: bool,
    fails: bool,
) -> Result<(), String> {
    let wanted = command.expected.as_deref();
    let deadline = Instant::now() + EVENTUALLY;
    loop {
        let ended = shell.run(&command.text, |printed| {
            may_go_on && wanted.map_or(!printed.is_empty(), |wanted| page::matches(wanted, printed))
        })?;
        let as_shown = wanted.is_none_or(|wanted| page::matches(wanted, &ended.printed));
        let status_good = ended.status.is_none_or(|status| (status != 0) == fails);
        let done = as_shown && status_good;
        if std::env::var_os("LF_PAGE").is_some() && (done || !eventually) {
            eprintln!("$ {}\n{}", command.text, ended.printed);
        }
        if done {
            return Ok(());
        }
        if !eventually || Instant::now() > deadline {
            let status = ended.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            return Err(format!(
                "status {status}; it printed\n{}the page says\n{}",
                ended.printed,
                wanted.unwrap_or_default().join("\n")
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_link_leads_somewhere() {
    let book = book();
    let mut problems = Vec::new();
    for file in links::markdown_files(&book) {
        problems.extend(links::problems(&file, Some(&book)));
    }
    let project = tools::project();
    for directory in ["clients", "crates", "examples", "packaging", "page", "vectors"] {
        for file in links::markdown_files(&project.join(directory)) {
            // What package managers put there is not ours.
            if !file.components().any(|part| part.as_os_str() == "node_modules") {
                problems.extend(links::problems(&file, None));
            }
        }
    }
    for file in std::fs::read_dir(&project).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "md") {
            problems.extend(links::problems(&file, None));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_summary_has_every_page_once() {
    let book = book();
    let summary = std::fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    for file in links::markdown_files(&book) {
        let name = name(&file);
        if name != "SUMMARY.md" {
            assert_eq!(summary.matches(&format!("]({name})")).count(), 1, "{name} in SUMMARY.md");
        }
    }
    for page in doctest_pages() {
        let library = std::fs::read_to_string(tools::project().join("crates/lf-client/src/lib.rs")).unwrap();
        assert!(
            library.contains(&page),
            "lf-client's documentation does not include {page}, so nothing compiles it"
        );
    }
}

fn doctest_pages() -> Vec<String> {
    let pages = links::markdown_files(&book()).into_iter().filter(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        Page::parse(&text).is_ok_and(|page| page.doctests > 0)
    });
    pages.map(|file| name(&file)).collect()
}

#[test]
fn what_is_made_from_the_program_is_current() {
    let node = support::Node::start_any(
        tempfile::Builder::new().prefix("lf-book-").tempdir().unwrap().keep(),
        &["-p2p", "127.0.0.1:0"],
    );
    let ask = |path: &str| {
        let (head, body) = http(&node.url, "GET", path, "").unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(head.starts_with("HTTP/1.") && head.contains(" 200 "), "{path}: {head}");
        body
    };
    // So that there is something to count, and labels show.
    ask("/status");
    let _ = http(&node.url, "POST", "/post", "no record");
    let pages = [
        ("reference/cli.md", generated::command_line()),
        ("reference/http.md", generated::http(&serde_json::from_str(&ask("/v1/openapi.json")).unwrap())),
        ("reference/metrics.md", generated::metrics(&ask("/metrics"))),
    ];
    for (name, page) in pages {
        let file = book().join(name);
        if std::env::var_os("LF_UPDATE").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        if committed != page {
            let changed = committed.lines().zip(page.lines()).find(|(old, new)| old != new);
            panic!("{name} is not what the program says, first here: {changed:?}; LF_UPDATE=1 writes it");
        }
    }
}

/// A request, the plain way; the answer's head and body.
fn http(url: &str, method: &str, path: &str, body: &str) -> std::io::Result<(String, String)> {
    use std::io::{Read as _, Write as _};
    let host = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host)?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok((head.to_owned(), body.to_owned()))
}
