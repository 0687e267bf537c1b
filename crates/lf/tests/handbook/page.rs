//! One page of the handbook, read as a test reads it: what to run, where, and what must come out.
//!
//! A fenced block of `console` is run: lines that begin with `$ ` are commands (`> ` goes on with one), and what follows
//! is what they print. Of other languages that are code or commands, each block needs a comment before it that says what
//! becomes of it:
//!
//! ```text
//! <!-- not run: WHY -->     nothing: it cannot be run here
//! <!-- file NAME -->        it is written to this file, for later commands
//! <!-- doctest -->          rustdoc compiles it (the page is included in lf-client's documentation)
//! <!-- shows NAME -->       that terminal has printed this by then, among other things
//! ```
//!
//! and before a block of `console`:
//!
//! ```text
//! <!-- terminal NAME -->    in a terminal of its own, where the last command may go on running
//! <!-- eventually -->       again, until it prints what it should: nodes take a moment to hear of things
//! <!-- fails -->            the last command must fail
//! ```
//!
//! and anywhere:
//!
//! ```text
//! <!-- setup COMMANDS -->   run, and not shown
//! <!-- interrupt NAME -->   Ctrl-C in that terminal
//! <!-- needs PROGRAMS -->   the page is run only where these are
//! ```

/// A command of a console block, and what it prints; `None` if the page does not say.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) expected: Option<Vec<String>>,
}

/// What a page wants done.
#[derive(Debug)]
pub(crate) enum Step {
    Run { terminal: Option<String>, eventually: bool, fails: bool, commands: Vec<Command> },
    Setup { line: usize, script: String },
    File { name: String, content: String },
    Shows { line: usize, terminal: String, wanted: Vec<String> },
    Interrupt { line: usize, terminal: String },
}

/// A page's steps, and the blocks that are not run.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) steps: Vec<Step>,
    pub(crate) needs: Vec<String>,
    pub(crate) not_run: usize,
    pub(crate) doctests: usize,
}

/// Languages of blocks that only show something.
const SHOWN: [&str; 10] =
    ["text", "json", "toml", "ini", "yaml", "csv", "http", "nginx", "dockerfile", "mermaid"];

#[derive(Default)]
struct Marks {
    terminal: Option<String>,
    eventually: bool,
    fails: bool,
    file: Option<String>,
    shows: Option<String>,
    not_run: bool,
    doctest: bool,
}

impl Page {
    /// Reads a page's Markdown.
    pub(crate) fn parse(markdown: &str) -> Result<Page, String> {
        let mut page = Page::default();
        let mut marks = Marks::default();
        let mut lines = markdown.lines().enumerate().map(|(at, line)| (at + 1, line));
        while let Some((at, line)) = lines.next() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                let indent = line.len() - line.trim_start().len();
                let mut content = Vec::new();
                loop {
                    let (_, line) = lines.next().ok_or(format!("line {at}: a block without an end"))?;
                    if line.trim() == "```" {
                        break;
                    }
                    content.push(line.get(indent..).unwrap_or(""));
                }
                page.block(at, language, &content, std::mem::take(&mut marks))?;
            } else if let Some(comment) = line.trim_start().strip_prefix("<!--") {
                let mut text = comment.to_owned();
                while !text.contains("-->") {
                    let (_, line) = lines.next().ok_or(format!("line {at}: a comment without an end"))?;
                    text = format!("{text}\n{line}");
                }
                page.comment(at, text.split("-->").next().unwrap_or_default(), &mut marks)?;
            }
        }
        Ok(page)
    }

    fn comment(&mut self, line: usize, comment: &str, marks: &mut Marks) -> Result<(), String> {
        let comment = comment.trim();
        let (word, rest) = comment.split_once(char::is_whitespace).unwrap_or((comment, ""));
        let rest = rest.trim().to_owned();
        match word {
            "setup" => self.steps.push(Step::Setup { line, script: rest }),
            "interrupt" => self.steps.push(Step::Interrupt { line, terminal: rest }),
            "needs" => self.needs.extend(rest.split_whitespace().map(str::to_owned)),
            "terminal" => marks.terminal = Some(rest),
            "eventually" => marks.eventually = true,
            "fails" => marks.fails = true,
            "file" => marks.file = Some(rest),
            "shows" => marks.shows = Some(rest),
            "doctest" => marks.doctest = true,
            "not" if rest.len() > "run: ".len() && rest.starts_with("run: ") => marks.not_run = true,
            // Of pages that are made by this test.
            "generated" => {}
            _ => return Err(format!("line {line}: what does the comment \"{comment}\" mean?")),
        }
        Ok(())
    }

    fn block(&mut self, line: usize, language: &str, content: &[&str], marks: Marks) -> Result<(), String> {
        let language = language.split([',', ' ']).next().unwrap_or_default();
        if marks.not_run {
            self.not_run += 1;
        } else if let Some(name) = marks.file {
            self.steps.push(Step::File { name, content: content.join("\n") + "\n" });
        } else if let Some(terminal) = marks.shows {
            // Among other things.
            let mut wanted = vec!["…".to_owned()];
            wanted.extend(content.iter().map(|line| (*line).to_owned()));
            wanted.push("…".to_owned());
            self.steps.push(Step::Shows { line, terminal, wanted });
        } else if marks.doctest && language == "rust" {
            self.doctests += 1;
        } else if language == "console" {
            let commands = commands(line, content)?;
            let Marks { terminal, eventually, fails, .. } = marks;
            self.steps.push(Step::Run { terminal, eventually, fails, commands });
        } else if !SHOWN.contains(&language) {
            return Err(format!(
                "line {line}: this block of \"{language}\" is not run, and nothing says why: <!-- not run: REASON -->"
            ));
        }
        Ok(())
    }
}

fn commands(line: usize, content: &[&str]) -> Result<Vec<Command>, String> {
    let mut commands: Vec<Command> = Vec::new();
    for (offset, text) in content.iter().enumerate() {
        let at = line + 1 + offset;
        if let Some(command) = text.strip_prefix("$ ") {
            commands.push(Command { line: at, text: command.to_owned(), expected: None });
            continue;
        }
        let last = commands.last_mut().ok_or(format!("line {at}: output before any command"))?;
        match (text.strip_prefix("> "), &mut last.expected) {
            (Some(more), None) => last.text = format!("{}\n{more}", last.text),
            (_, expected) => expected.get_or_insert_default().push((*text).to_owned()),
        }
    }
    Ok(commands)
}

/// Whether what was printed is what the page shows: `…` stands for anything in a line, alone for any lines, and how
/// wide columns are does not matter.
pub(crate) fn matches(expected: &[String], printed: &str) -> bool {
    let tidy = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut expected: Vec<String> = expected.iter().map(|line| tidy(line)).collect();
    let mut printed: Vec<String> = printed.lines().map(tidy).collect();
    for lines in [&mut expected, &mut printed] {
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
    }
    matches_all(
        &expected,
        &printed,
        |line| line == "…",
        |pattern, line| {
            let (pattern, line): (Vec<char>, Vec<char>) = (pattern.chars().collect(), line.chars().collect());
            matches_all(&pattern, &line, |c| *c == '…', |a, b| a == b)
        },
    )
}

/// Matches a row of things against a pattern with wildcards, going back to the last wildcard where it fails.
fn matches_all<T>(
    pattern: &[T],
    row: &[T],
    wild: impl Fn(&T) -> bool,
    same: impl Fn(&T, &T) -> bool,
) -> bool {
    let (mut p, mut r) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), row.get(r)) {
            (Some(part), _) if wild(part) => {
                back = Some((p, r));
                p += 1;
            }
            (Some(part), Some(item)) if same(part, item) => (p, r) = (p + 1, r + 1),
            (None, None) => return true,
            _ => match &mut back {
                Some((at, from)) if *from < row.len() => {
                    *from += 1;
                    (p, r) = (*at + 1, *from);
                }
                _ => return false,
            },
        }
    }
}

#[test]
fn a_page_is_read_as_its_comments_say() {
    let page = Page::parse(
        "# A\n<!-- setup\nexport A=1\n-->\n```console\n$ echo a \\\n> b\na b\n$ true\n```\n\n<!-- file x.toml -->\n```toml\na = 1\n```\n\
         <!-- not run: it needs the internet -->\n```sh\ncurl\n```\n<!-- terminal two -->\n<!-- fails -->\n```console\n$ sleep 9\n```\n",
    )
    .expect("a page");
    assert_eq!((page.steps.len(), page.not_run), (4, 1));
    let Step::Run { commands, terminal: None, fails: false, .. } = &page.steps[1] else { panic!("{page:?}") };
    assert_eq!(commands[0].text, "echo a \\\nb");
    assert_eq!((commands[0].line, commands[1].line), (6, 9));
    assert_eq!(commands[0].expected.as_deref(), Some(&["a b".to_owned()][..]));
    assert!(commands[1].expected.is_none());
    assert!(matches!(&page.steps[3], Step::Run { terminal: Some(name), fails: true, .. } if name == "two"));
    for bad in [
        "```sh\nls\n```",
        "```\nls\n```",
        "```console\n$ a",
        "<!-- sepup x -->",
        "<!-- not run: -->",
        "```console\nout\n```",
    ] {
        assert!(Page::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn dots_stand_for_anything() {
    let is =
        |pattern: &str, text: &str| matches(&pattern.lines().map(str::to_owned).collect::<Vec<_>>(), text);
    assert!(
        is("a  b", "a b \n\n") && is("a … d", "a b c d") && is("…", "") && is("…", "a\nb") && is("a…", "a")
    );
    assert!(is("…\nb\n…\nd", "a\nb\nc\nb\nd") && is("…b…", "aabbcc"));
    assert!(!is("a", "a\nb") && !is("a … d", "a b c") && !is("…\nb", "a") && !is("", "a") && !is("a", ""));
}
