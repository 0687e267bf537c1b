//! Command lines as people write them, made into the form that clap reads: `lf [globals] command [options] -- words`.
//!
//! LF always had long options with one dash (`-json`, `-path P`, `-loglevel=trace`) before its words. These work
//! beside the GNU form. The rules, for the words after a command:
//!
//! * Before the first word, `-name` and `--name` are options if the command has an option of that name.
//! * After it, `--name` is an option if the command knows it, and so is `-name`; but in `lf set` only the GNU form is,
//!   since there any later word can be a value (`lf set temperature -5`).
//! * The last word of `lf set` is its value even if it looks like an option, when nothing else is left to be one.
//! * What begins with one dash and is no option is a word, once words have begun.
//! * `--` ends options. Everything else that begins with a dash is left to clap, which complains.
//!
//! What the options are, and which take a value, is asked of clap's own definitions.

use std::ffi::OsString;

use clap::Command;

/// Commands of one word that are two nowadays.
const JOINED: [(&str, [&str; 2]); 3] = [
    ("node-start", ["node", "start"]),
    ("node-bootstrap", ["node", "bootstrap"]),
    ("node-connect", ["node", "connect"]),
];

/// Brings a command line into the form that clap reads.
pub(crate) fn normalize(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let mut command = command.clone();
    command.build();
    let mut arguments = arguments.into_iter().peekable();
    let mut out: Vec<OsString> = arguments.next().into_iter().collect();
    let mut current = &command;
    // Down to the command that takes words, passing options on the way.
    while current.has_subcommands() {
        let Some(argument) = arguments.next() else { return out };
        let Some(text) = argument.to_str() else {
            out.push(argument);
            break;
        };
        if let Some(option) = Option_::find(current, text, true) {
            let takes_next = option.takes_next;
            out.push(option.text.into());
            if takes_next {
                out.extend(arguments.next());
            }
            continue;
        }
        let words: Vec<&str> = match JOINED.iter().find(|(joined, _)| *joined == text) {
            Some((_, words)) => words.to_vec(),
            None => vec![text],
        };
        for word in words {
            out.push(word.into());
            match current.find_subcommand(word) {
                // `help` takes the names of commands.
                Some(_) if word == "help" => return out.into_iter().chain(arguments).collect(),
                Some(subcommand) => current = subcommand,
                // An option or a command that nobody knows: clap says so.
                None => return out.into_iter().chain(arguments).collect(),
            }
        }
    }
    let words = words(current, arguments.collect(), &mut out);
    if !words.is_empty() {
        out.push("--".into());
        out.extend(words);
    }
    out
}

/// Sorts what follows a command into options, which go to `out`, and words, which are returned.
fn words(command: &Command, arguments: Vec<OsString>, out: &mut Vec<OsString>) -> Vec<OsString> {
    let any_value = command.get_name() == "set";
    let count = arguments.len();
    let mut arguments = arguments.into_iter().enumerate();
    let mut words: Vec<OsString> = Vec::new();
    while let Some((i, argument)) = arguments.next() {
        let is_last = i + 1 == count;
        let Some(text) = argument.to_str().filter(|text| text.len() > 1 && text.starts_with('-')) else {
            words.push(argument);
            continue;
        };
        if text == "--" {
            words.extend(arguments.map(|(_, argument)| argument));
            break;
        }
        let begun = !words.is_empty();
        let two_dashes = text.starts_with("--");
        let option = Option_::find(command, text, !(begun && any_value));
        match option {
            // The value of `lf set name VALUE`.
            _ if any_value && is_last && words.len() == 1 => words.push(argument),
            Some(option) => {
                let takes_next = option.takes_next;
                out.push(option.text.into());
                if takes_next {
                    out.extend(arguments.next().map(|(_, value)| value));
                }
            }
            None if begun && (!two_dashes || (any_value && is_last)) => words.push(argument),
            None => out.push(argument),
        }
    }
    words
}

/// An option in GNU form.
struct Option_ {
    text: String,
    /// Whether the next argument is its value.
    takes_next: bool,
}

impl Option_ {
    /// The option that a text stands for, if the command has one like that.
    fn find(command: &Command, text: &str, one_dash: bool) -> Option<Self> {
        let name = match text.strip_prefix("--") {
            Some(name) => name,
            None => {
                let name = text.strip_prefix('-')?;
                if name.chars().count() == 1 {
                    let short = name.chars().next()?;
                    let found = command.get_arguments().find(|a| a.get_short() == Some(short))?;
                    let takes_next = found.get_action().takes_values();
                    return Some(Option_ { text: text.to_owned(), takes_next });
                }
                if !one_dash {
                    return None;
                }
                name
            }
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let known = |a: &&clap::Arg| {
            a.get_long() == Some(name) || a.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        };
        let found = command.get_arguments().find(known)?;
        let takes_values = found.get_action().takes_values();
        let text = match value {
            // `-json=true` is how the reference's flags can be written, too.
            Some("true") if !takes_values => format!("--{name}"),
            Some(value) => format!("--{name}={value}"),
            None => format!("--{name}"),
        };
        Some(Option_ { text, takes_next: takes_values && value.is_none() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from).collect();
        let out = normalize(&crate::cli::command(), arguments);
        out.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_dash() {
        assert_eq!(normal("lf -json get bad horse#0"), "lf --json get -- bad horse#0");
        assert_eq!(normal("lf -path P -json status"), "lf --path P --json status");
        assert_eq!(normal("lf -path=P get x"), "lf --path=P get -- x");
        assert_eq!(normal("lf --path P get -open -raw x"), "lf --path P get --open --raw -- x");
        assert_eq!(normal("lf get -tstart 5 -tend=6 x"), "lf get --tstart 5 --tend=6 -- x");
        assert_eq!(normal("lf -json=true get x"), "lf --json get -- x");
        assert_eq!(normal("lf set -pulse -mask m -url a,b x y"), "lf set --pulse --mask m --url a,b -- x y");
    }

    #[test]
    fn joined_commands() {
        assert_eq!(normal("lf node-start -localtest"), "lf node start --localtest");
        assert_eq!(
            normal(
                "lf -path P node-start -p2p 1 -http 2 -oracle -loglevel verbose -logstderr -letsencrypt a,b"
            ),
            "lf --path P node start --p2p 1 --http 2 --oracle --loglevel verbose --logstderr --letsencrypt a,b"
        );
        assert_eq!(normal("lf node-connect 127.0.0.1 9908 abc"), "lf node connect -- 127.0.0.1 9908 abc");
        assert_eq!(normal("lf node start -localtest"), "lf node start --localtest");
    }

    #[test]
    fn values_that_look_like_options() {
        assert_eq!(normal("lf set temperature -5"), "lf set -- temperature -5");
        assert_eq!(normal("lf set name -json"), "lf set -- name -json");
        assert_eq!(normal("lf set name --json"), "lf set -- name --json");
        assert_eq!(normal("lf set name tag -json"), "lf set -- name tag -json");
        assert_eq!(normal("lf set name value --json"), "lf set --json -- name value");
        assert_eq!(normal("lf set name --owner bob value"), "lf set --owner bob -- name value");
        assert_eq!(normal("lf set name -- --owner"), "lf set -- name --owner");
        assert_eq!(normal("lf set -mask -5 name -"), "lf set --mask -5 -- name -");
        assert_eq!(normal("lf set -file name -"), "lf set --file -- name -");
        assert_eq!(normal("lf get name -json"), "lf get --json -- name");
        assert_eq!(normal("lf get name -5"), "lf get -- name -5");
        assert_eq!(normal("lf get -- -json"), "lf get -- -json");
    }

    #[test]
    fn mistakes_are_left_to_clap() {
        assert_eq!(normal("lf -bogus status"), "lf -bogus status");
        assert_eq!(normal("lf get -bogus x"), "lf get -bogus -- x");
        assert_eq!(normal("lf get x --bogus"), "lf get --bogus -- x");
        assert_eq!(normal("lf bogus -json"), "lf bogus -json");
        assert_eq!(normal("lf help set"), "lf help set");
        assert_eq!(normal("lf -h status"), "lf -h status");
        assert_eq!(normal("lf"), "lf");
    }
}
