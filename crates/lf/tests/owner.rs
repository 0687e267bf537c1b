//! `lf owner`: keys in client.json.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use support::Home;

#[test]
fn the_first_use_makes_an_owner() {
    let home = Home::new();
    let listed = home.run("owner list");
    assert!(listed.stdout.starts_with("tester                   * ed25519 @"), "{listed:?}");
    assert!(listed.stderr.contains("New owner tester @"), "{listed:?}");
    let again = home.run("owner");
    assert_eq!((again.stdout, again.stderr.as_str()), (listed.stdout, ""));
}

#[test]
fn new_owners() {
    let home = Home::new();
    home.run("owner list").good();
    assert!(home.run("owner new bob").good().starts_with("bob                        ed25519 @"));
    assert!(home.run("owner new carol P-384").good().starts_with("carol                      p384    @"));
    assert!(home.run("owner new dave p224").good().starts_with("dave                       p224    @"));
    assert!(home.lf(["owner", "new", "  trimmed  "]).good().starts_with("trimmed  "));
    assert!(home.run("owner new ivan rsa").usage_error().contains("p224, p384 or ed25519"));
    assert!(home.run("owner new bob").error().starts_with("ERROR: an owner named 'bob' already exists"));
    assert!(home.run("owner new").usage_error().contains("<NAME>"));
    home.lf(["owner", "new", " "]).error();
    let listed = home.run("owner list").good();
    let names: Vec<_> = listed.lines().map(|l| l.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["bob", "carol", "dave", "tester", "trimmed"]);
    let json: serde_json::Value = serde_json::from_str(&home.run("owner list --json").good()).unwrap();
    assert_eq!((&json[1]["Name"], &json[1]["Type"]), (&"carol".into(), &"p384".into()));
}

#[test]
fn passphrases_come_from_anywhere() {
    let home = Home::new();
    let known = "@ca8bNLBZu1dNdCDUwZT9YeAGPaaPwYWa";
    let phrase = "  correct horse battery staple ";
    assert!(home.lf(["owner", "newfrompass", "argument", phrase]).good().contains(known));
    let piped = home.lf_with_input(["owner", "newfrompass", "piped"], format!("{phrase}\nmore").as_bytes());
    assert!(piped.good().contains(known));
    let from_env = home.command().env("LF_PASSPHRASE", phrase).args(["owner", "newfrompass", "env"]).output();
    assert!(support::Ran::from(from_env.unwrap()).good().contains(known));
    home.lf(["owner", "newfrompass", "empty", " "]).error();
    home.run("owner newfrompass none").error();
    home.run("owner newfrompass env x").error();
}

#[test]
fn default_rename_delete() {
    let home = Home::new();
    home.run("owner new a").good();
    home.run("owner new b p224").good();
    let b = home.run("owner default b").good();
    assert!(b.starts_with("b                        * p224    @"));
    let public = b.split_whitespace().last().unwrap();
    assert_eq!(home.run("owner rename b c").good(), format!("{public} renamed from b to c\n"));
    assert!(home.run("owner rename b d").error().contains("'b' does not exist"));
    assert!(home.run("owner rename c a").error().contains("'a' already exists"));
    assert!(home.run("owner default b").error().contains("'b' does not exist"));
    assert!(home.run("owner delete b").error().contains("'b' does not exist"));
    let deleted = home.run("owner delete c");
    assert_eq!(deleted.stdout, format!("c                          p224    {public} DELETED\n"));
    assert!(deleted.stderr.contains("lf owner default"));
    assert!(home.run("set x y").error().contains("no default owner"));
    home.run("owner delete a").good();
    assert_eq!(home.run("owner list").good(), "");
    assert!(home.run("set x y").error().contains("there is no owner"));
}

#[test]
fn export_and_import() {
    let home = Home::new();
    for (name, kind) in [("e", "ed25519"), ("p", "p224"), ("q", "p384")] {
        let line = home.lf(["owner", "new", name, kind]).good();
        let public = line.split_whitespace().last().unwrap().to_owned();
        let pem = home.lf(["owner", "export", name]).good();
        assert!(pem.starts_with("-----BEGIN LF OWNER PRIVATE KEY-----\nPublic: @"));
        let string = home.lf(["owner", "exportstring", name]).good();
        assert_eq!(serde_json::from_str::<String>(&string).unwrap(), pem);
        let said = home.lf(["owner", "export", name, "key.pem"]).good();
        assert_eq!(said, format!("{public} exported to key.pem\n"));
        assert_eq!(std::fs::read_to_string(home.path().join("key.pem")).unwrap(), pem);
        let copy = format!("{name}2");
        assert!(home.lf(["owner", "import", &copy, "key.pem"]).good().contains(&public));
        let piped = home.lf_with_input(["owner", "import", &format!("{name}3"), "-"], pem.as_bytes());
        assert!(piped.good().contains(&public));
    }
    std::fs::write(home.path().join("junk.pem"), "junk").unwrap();
    let wrong = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
    std::fs::write(home.path().join("wrong.pem"), wrong).unwrap();
    assert!(home.run("owner import x junk.pem").error().contains("does not contain PEM"));
    assert!(home.run("owner import x wrong.pem").error().contains("'wrong.pem' is invalid"));
    assert!(home.run("owner import x nope.pem").error().contains("cannot read nope.pem"));
    assert!(home.run("owner import e junk.pem").error().contains("PEM"));
    assert!(home.run("owner export nobody").error().contains("'nobody' does not exist"));
    assert!(home.run("owner export e /nonexistent/x.pem").error().contains("unable to write"));
}

#[test]
#[cfg(unix)]
fn secrets_are_the_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.run("owner new a").good();
    home.run("owner export a a.pem").good();
    for file in ["client.json", "a.pem"] {
        let mode = std::fs::metadata(home.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn damaged_and_empty_files() {
    let home = Home::new();
    let file = home.path().join("client.json");
    std::fs::write(&file, "{this is not json").unwrap();
    let error = home.run("owner list").error();
    assert!(error.contains("client.json: ") && error.contains("hint: "), "{error}");
    std::fs::write(&file, "").unwrap();
    assert_eq!(home.run("owner list").good(), "");
    assert!(home.run("owner new first p224").good().starts_with("first                    * p224"));
    assert!(home.run("owner new second").good().starts_with("second                     ed25519"));
    assert_eq!(home.run("url list").good(), "");
}
