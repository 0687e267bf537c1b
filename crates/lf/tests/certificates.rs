//! Certificate authorities on the command line: made with a network and later, requests, certificates and revocations
//! published through a real node, whose records hold what openssl would show.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use lf_client::Client;
use lf_proto::cert::{Authority, Certificate, Crl, Reason, Request, plain_value};
use lf_proto::genesis::Genesis;
use lf_proto::record::{Record, RecordType};
use serde_json::Value;
use support::{Home, Node, Ran};

fn genesis(home: &Home) -> Genesis {
    Genesis::parse(&std::fs::read(home.path().join("genesis.lf")).unwrap()).unwrap()
}

fn roots(home: &Home) -> Vec<Certificate> {
    Certificate::parse_all(&genesis(home).parameters().auth_certificates.0).unwrap()
}

fn authority(home: &Home, file: &str) -> Authority {
    Authority::from_pem(&std::fs::read_to_string(home.path().join(file)).unwrap()).unwrap()
}

/// The files of a directory that begin with a text.
fn files(home: &Home, begin: &str) -> Vec<String> {
    let names =
        std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(begin)).collect()
}

#[cfg(unix)]
fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
}

#[cfg(not(unix))]
fn assert_private(_: &Path) {}

/// A node in local test mode on a network with one root; where its files are, and the name of the root's file.
fn network(options: &str) -> (Node, Home, String) {
    let base = tempfile::tempdir().unwrap().keep();
    let home = Home::new();
    let line = format!("makegenesis --name certified --links 2 --work-factor 1 --ca Root {options}");
    home.run(line.trim()).good();
    std::fs::create_dir_all(base.join("localtest")).unwrap();
    std::fs::copy(home.path().join("genesis.lf"), base.join("localtest/genesis.lf")).unwrap();
    let node = Node::start_in(base, &[]);
    home.lf(["url", "default", &node.url]).good();
    let root = files(&home, "genesis-auth-").pop().unwrap();
    (node, home, root)
}

/// A record that a command has printed the hash of.
fn published(node: &Node, hash: &str) -> Record {
    Client::new([&node.url]).unwrap().record(&hash.trim().parse().unwrap()).unwrap().unwrap()
}

#[test]
fn networks_with_authorities() {
    let home = Home::new();
    let made = home.lf([
        "makegenesis",
        "--name",
        "n",
        "--links",
        "2",
        "--work-factor",
        "1",
        "--ca",
        "First CA",
        "--ca",
        "Second CA",
        "--auth-required",
        "true",
        "--amendable",
        "authcertificates",
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let roots = roots(&home);
    assert_eq!(
        roots.iter().map(Certificate::subject_text).collect::<Vec<_>>(),
        ["CN=First CA", "CN=Second CA"]
    );
    assert!(genesis(&home).parameters().auth_required);
    for root in &roots {
        let file = format!("genesis-auth-{}.pem", root.serial());
        assert_eq!(authority(&home, &file).certificate(), root);
        assert_private(&home.path().join(&file));
        assert!(made.stderr.contains(&format!("{file} written")), "{made:?}");
    }
    let shown = home.run("genesis show genesis.lf").good();
    for part in [
        "certificates needed yes",
        &format!(
            "authorities         CN=First CA ({}); CN=Second CA ({})",
            roots[0].serial(),
            roots[1].serial()
        ),
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json: Value = serde_json::from_str(&home.run("--json genesis show genesis.lf").good()).unwrap();
    assert_eq!(json["Authorities"][1]["Serial"], roots[1].serial().to_string());
    assert_eq!(json["Authorities"][1]["Revoked"], false);
    let alone = Home::new().run("makegenesis --name n --links 2 --auth-required true").error();
    assert!(alone.contains("nobody can write"), "{alone}");
}

#[test]
fn authorities_by_a_file() {
    let home = Home::new();
    let serial = home.run("ca root --common-name Old --days 900 --output old.pem").good();
    assert_private(&home.path().join("old.pem"));
    assert!(home.run("ca root --common-name Old --output old.pem").error().contains("exists already"));
    let file = "name = 'filed'\nlinks = 2\nwork-factor = 1\nauth-required = true\n\
                [[ca]]\ncommon-name = 'New'\norganization = 'Ours'\ncountry = 'DE'\ndays = 30\n[[ca]]\nfile = 'old.pem'\n";
    std::fs::write(home.path().join("network.toml"), file).unwrap();
    home.run("makegenesis --file network.toml").good();
    let roots = roots(&home);
    assert_eq!(roots[0].subject_text(), "CN=New, O=Ours, C=DE");
    assert_eq!(roots[0].not_after() - roots[0].not_before(), 30 * 86_400);
    assert_eq!(roots[1].serial().to_string(), serial.trim());
    assert_eq!(files(&home, "genesis-auth-").len(), 1, "only the one that was made is written");
    for (table, why) in [
        ("file = 'network.toml'", "holds no certificate"),
        ("file = 'old.pem'\ncommon-name = 'x'", "either a file or a subject"),
        ("days = 3", "either a file or a subject"),
        ("common-name = 'x'\ndays = 0", "must be days"),
        ("name = 'x'", "unknown field `name`"),
    ] {
        std::fs::write(home.path().join("bad.toml"), format!("name = 'x'\n[[ca]]\n{table}\n")).unwrap();
        let error = home.run("makegenesis --file bad.toml --output bad").error();
        assert!(error.contains(why), "{table}: {error}");
    }
}

/// The answers that the reference's vectors give.
#[test]
fn by_answers_in_the_old_order() {
    let home = Home::new();
    let answers = "testnet\nadmin@example.com\na test network\n\n\n\nbogus\nauthcertificates, comment\ny\n\n\
                   US\nExample Org\n\n\nCA\n\n\nExample CA\nn\nn\n";
    let made = home.lf_with_input(["makegenesis", "--work-factor", "1"], answers.as_bytes());
    assert_eq!(made.code, Some(0), "{made:?}");
    let roots = roots(&home);
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0].subject_text(), "CN=Example CA, O=Example Org, ST=CA, C=US");
    assert_eq!(roots[0].not_after() - roots[0].not_before(), 36_500 * 86_400);
    assert!(!genesis(&home).parameters().auth_required);
    assert_eq!(files(&home, "genesis-auth-"), [format!("genesis-auth-{}.pem", roots[0].serial())]);
}

#[test]
fn requests_are_made_and_shown() {
    let home = Home::new();
    for ty in ["ed25519", "p224", "p384"] {
        let line = home.run(&format!("owner new {ty} {ty}")).good();
        let public = line.split_whitespace().last().unwrap();
        let made = home.lf(["owner", "makecsr", ty, "--common-name", "Aliçe", "--country", "DE"]);
        assert!(made.stderr.contains(&format!("Written to {public}.csr")), "{made:?}");
        let file = format!("{public}.csr");
        let pem = std::fs::read_to_string(home.path().join(&file)).unwrap();
        assert_eq!(made.good(), pem);
        let request = Request::parse(pem.as_bytes()).unwrap();
        assert_eq!(request.owner().unwrap().to_string(), public);
        assert_eq!(request.subject_text(), "CN=Aliçe, C=DE");
        let shown = home.lf(["owner", "showcsr", &file]);
        assert!(shown.stderr.contains(&format!("Signed by {public}")), "{shown:?}");
        let json: Value = serde_json::from_str(&shown.good()).unwrap();
        assert_eq!((&json["CommonName"], &json["Country"][0]), (&"Aliçe".into(), &"DE".into()));
        assert_eq!(json["SerialNumber"], public[1..]);
        if let Ok(openssl) = Command::new("openssl")
            .args(["req", "-verify", "-noout", "-in"])
            .arg(home.path().join(&file))
            .output()
        {
            assert!(openssl.status.success(), "{openssl:?}");
        }
    }
    // By answers, in the old order.
    let answers = b"US\nExample Org\nUnit\nCity\nState\nStreet 1\n12345\nCarol Example\n";
    let made = home.lf_with_input(["owner", "makecsr", "p384", "--output", "carol.csr"], answers).good();
    let request = Request::parse(made.as_bytes()).unwrap();
    assert_eq!(
        request.subject_text(),
        "CN=Carol Example, OU=Unit, O=Example Org, POSTALCODE=12345, STREET=Street 1, L=City, ST=State, C=US"
    );
    let empty = home.lf_with_input(["owner", "makecsr", "p224", "--output", "empty.csr"], b"").good();
    assert_eq!(Request::parse(empty.as_bytes()).unwrap().subject_text(), "");
    assert!(home.run("owner makecsr nobody").error().contains("an owner named 'nobody' does not exist"));
    std::fs::write(home.path().join("junk"), "junk").unwrap();
    assert!(home.run("owner showcsr junk").error().contains("junk is no request"));
    assert!(home.run("owner showcsr nothing").error().contains("cannot read nothing"));
}

/// The reference's own requests, shown as it showed them.
#[test]
fn requests_of_the_reference() {
    let home = Home::new();
    let vectors =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/cert.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    let mut ran = 0;
    for case in cases.iter().filter(|case| case["type"] == "owner_certificate") {
        std::fs::write(home.path().join("x.csr"), case["csr_pem"].as_str().unwrap()).unwrap();
        let shown: Value = serde_json::from_str(&home.run("owner showcsr x.csr").good()).unwrap();
        let expected: Value =
            serde_json::from_str(case["csr_subject_json_as_showcsr"].as_str().unwrap()).unwrap();
        assert_eq!(shown, expected);
        ran += 1;
    }
    assert!(ran > 0);
}

#[test]
fn owners_are_authorized() {
    let (node, home, root) = network("");
    let root_certificate = authority(&home, &root).certificate().clone();
    for ty in ["ed25519", "p224", "p384"] {
        home.run(&format!("owner new {ty} {ty}")).good();
        home.run(&format!("owner makecsr {ty} --common-name {ty} --output {ty}.csr")).good();
        let made = home.lf(["owner", "authorize", &root, &format!("{ty}.csr"), "365"]);
        assert!(made.stderr.contains(" is certified until ") && made.stderr.contains(ty), "{made:?}");
        let record = published(&node, &made.good());
        assert_eq!(record.record_type(), RecordType::Certificate);
        assert_eq!((record.work(), Some(*record.owner())), (None, root_certificate.key_owner()));
        let certificate = Certificate::parse(&plain_value(&record).unwrap()).unwrap();
        assert_eq!(root_certificate.issued(&certificate), Ok(()));
        assert_eq!(certificate.not_after() - certificate.not_before(), 365 * 86_400);
        assert_eq!(certificate.subject_owner(), certificate.key_owner());
    }
    // As long as possible, in the form it always had; and as JSON.
    let json = home.lf(["--json", "owner", "authorize", &root, "p224.csr", "-1"]).good();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["NotAfter"], root_certificate.not_after());
    assert_eq!(json["Issuer"], root_certificate.serial().to_string());

    let other = Home::new();
    other.run("ca root --common-name Other --output other.pem").good();
    std::fs::copy(other.path().join("other.pem"), home.path().join("other.pem")).unwrap();
    std::fs::write(home.path().join("cert.pem"), root_certificate.to_pem()).unwrap();
    for (words, why) in [
        ([root.as_str(), "p224.csr", "0"], "must be days"),
        ([root.as_str(), "p224.csr", "abc"], "must be days"),
    ] {
        let error = home.lf(["owner", "authorize"].into_iter().chain(words)).usage_error();
        assert!(error.contains(why), "{why}: {error}");
    }
    for (words, why) in [
        (["nope.pem", "p224.csr", "5"], "cannot read nope.pem"),
        (["p224.csr", "p224.csr", "5"], "is no certificate and key of an authority"),
        (["cert.pem", "p224.csr", "5"], "PEM has no EC PRIVATE KEY"),
        (["other.pem", "p224.csr", "5"], "is no authority of this network"),
        ([root.as_str(), "nope.csr", "5"], "cannot read nope.csr"),
        ([root.as_str(), "cert.pem", "5"], "cert.pem is no request"),
    ] {
        let error = home.lf(["owner", "authorize"].into_iter().chain(words)).error();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn intermediates_and_revocations_are_published() {
    let (node, home, root) = network("");
    let root_certificate = authority(&home, &root).certificate().clone();
    let made = home.lf([
        "ca",
        "intermediate",
        &root,
        "--common-name",
        "Branch",
        "--days",
        "100",
        "--output",
        "branch.pem",
    ]);
    assert!(made.stderr.contains("CN=Branch can certify owners until"), "{made:?}");
    assert_private(&home.path().join("branch.pem"));
    let record = published(&node, &made.good());
    let branch = authority(&home, "branch.pem");
    assert_eq!(plain_value(&record).unwrap(), branch.certificate().der());
    assert_eq!(root_certificate.issued(branch.certificate()), Ok(()));

    home.run("owner new alice").good();
    home.run("owner makecsr alice --common-name Alice --output alice.csr").good();
    let record = published(&node, &home.run("owner authorize branch.pem alice.csr -1").good());
    let certificate = Certificate::parse(&plain_value(&record).unwrap()).unwrap();
    assert_eq!(branch.certificate().issued(&certificate), Ok(()));
    assert_eq!(record.owner(), branch.owner());
    std::fs::write(home.path().join("alice.pem"), certificate.to_pem()).unwrap();

    let revoked = home.run("ca revoke branch.pem alice.pem --reason key-compromise");
    assert!(
        revoked.stderr.contains(&format!("Certificate {} is revoked.", certificate.serial())),
        "{revoked:?}"
    );
    let record = published(&node, &revoked.good());
    assert_eq!(record.record_type(), RecordType::Crl);
    let crl = Crl::parse(&plain_value(&record).unwrap()).unwrap();
    assert_eq!(branch.certificate().issued_crl(&crl), Ok(()));
    let entry = crl.entries()[0];
    assert_eq!((entry.serial, entry.reason), (certificate.serial(), Some(Reason::KeyCompromise)));
    let json = home.lf(["--json", "ca", "revoke", &root, "branch.pem"]).good();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["Revoked"][0], branch.certificate().serial().to_string());

    for (words, why) in [
        (vec![root.as_str(), "alice.pem"], "was not issued by"),
        (vec![root.as_str(), root.as_str()], "is the authority itself"),
        (vec![root.as_str(), "no/such!"], "neither a file nor a serial number"),
        (vec![root.as_str(), "@x"], "invalid owner @x"),
        (vec!["alice.pem", "alice.pem"], "is no certificate and key of an authority"),
    ] {
        let error = home.lf(["ca", "revoke"].into_iter().chain(words)).error();
        assert!(error.contains(why), "{why}: {error}");
    }
    assert!(
        home.lf(["ca", "revoke", &root, "alice.pem", "--reason", "x"])
            .usage_error()
            .contains("keyCompromise")
    );
    assert!(
        home.run("ca intermediate branch.pem --common-name Twig")
            .error()
            .contains("does not allow authorities")
    );
}

#[test]
fn roots_are_added_and_revoked() {
    let (node, home, root) = network("--amendable authcertificates,recordmaxvaluesize,authrequired");
    let first = authority(&home, &root).certificate().clone();
    home.run("ca root --common-name Second --output second.pem").good();
    let second = authority(&home, "second.pem").certificate().clone();
    // The network began this second, and only what is newer amends it.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let amended = home.run("genesis amend --add-ca second.pem");
    assert!(amended.stderr.contains("CN=Second"), "{amended:?}");
    amended.good();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    home.lf(["genesis", "amend", "--revoke-ca", &root]).good();
    let shown = home.run("genesis show").good();
    let expected = format!("CN=Second ({}); CN=Root ({}, revoked)", second.serial(), first.serial());
    assert!(shown.contains(&expected), "{expected} in {shown}");
    home.run("owner new alice").good();
    home.run("owner makecsr alice --common-name Alice --output alice.csr").good();
    let revoked = home.lf(["owner", "authorize", &root, "alice.csr", "5"]).error();
    assert!(revoked.contains("is a root that this network has revoked"), "{revoked}");
    home.run("owner authorize second.pem alice.csr 5").good();
    for (words, why) in [
        (vec!["--add-ca", root.as_str()], "was revoked, for good"),
        (vec!["--add-ca", "alice.csr"], "holds no certificate"),
        (vec!["--revoke-ca", root.as_str()], "that could be revoked"),
        (vec!["--revoke-ca", "second.pem", "--auth-required", "true"], "nobody can write"),
    ] {
        let error = home.lf(["genesis", "amend"].into_iter().chain(words)).error();
        assert!(error.contains(why), "{why}: {error}");
    }
    drop(node);
}

#[test]
fn networks_without_authorities() {
    let node = Node::start();
    node.run("ca root --common-name x --output x.pem").good();
    node.run("owner new a").good();
    node.run("owner makecsr a --common-name a --output a.csr").good();
    let error: Ran = node.run("owner authorize x.pem a.csr 5");
    assert!(error.error().contains("this network has no certificate authorities"));
}
