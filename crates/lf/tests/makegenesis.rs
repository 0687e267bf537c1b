//! `lf makegenesis`: by flags and by answers.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use lf_proto::genesis::Genesis;
use lf_proto::owner::OwnerSecret;
use support::Home;

fn genesis(home: &Home, file: &str) -> Genesis {
    Genesis::parse(&std::fs::read(home.path().join(file)).unwrap()).unwrap()
}

#[test]
fn by_flags_with_defaults() {
    let home = Home::new();
    let made = home.run("makegenesis --name mine --comment ours --work-factor 1 --output net");
    let genesis = genesis(&home, "net/genesis.lf");
    let p = genesis.parameters();
    assert_eq!((p.name.as_str(), p.comment.as_str(), p.record_min_links), ("mine", "ours", 3));
    assert_eq!((p.record_max_value_size, p.record_max_time_drift, p.strict_signatures), (1024, 60, true));
    assert_eq!(genesis.records().len(), 3);
    let printed: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!(printed, serde_json::to_value(p).unwrap());
    assert!(made.stderr.contains("key is thrown away"), "{made:?}");
    assert!(!home.path().join("net/genesis-secret.pem").exists());
    assert!(home.run("verify net/genesis.lf").good().contains("problems   none"));
    assert!(home.run("makegenesis --name again --output net").error().contains("exists already"));
}

#[test]
fn by_a_file_and_options() {
    let home = Home::new();
    let file = "name = 'filed'\ncontact = 'desk 3'\nlinks = 2\nvalue-bytes = 99\nwork-factor = 1\n\
                strict-signatures = false\namendable = ['comment']\n";
    std::fs::write(home.path().join("network.toml"), file).unwrap();
    let made = home.run("makegenesis --file network.toml --drift 5 --links 4 --contact me");
    assert_eq!(made.code, Some(0), "{made:?}");
    let genesis = genesis(&home, "genesis.lf");
    let p = genesis.parameters();
    assert_eq!((p.name.as_str(), p.contact.as_str(), p.comment.as_str()), ("filed", "me", ""));
    assert_eq!((p.record_min_links, p.record_max_value_size, p.record_max_time_drift), (4, 99, 5));
    assert_eq!((p.strict_signatures, p.work_factor()), (false, 1));
    assert_eq!(p.amendable_fields, ["comment"]);
    assert!(home.path().join("genesis-secret.pem").exists());
    for record in genesis.records() {
        assert!(made.stderr.contains(&record.hash().to_string()), "{made:?}");
    }
    assert!(made.stderr.contains(&p.id_text()), "{made:?}");
}

#[test]
fn by_answers_in_the_old_order() {
    let home = Home::new();
    let answers = b"testnet\nadmin@example.com\na test network\n2\n\n90\nbogus\n comment, RecordMaxForwardTimeDrift\nn\n";
    let made = home.lf_with_input(["makegenesis", "--work-factor", "1"], answers);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stderr.contains("no field named \"bogus\""), "{made:?}");
    let genesis = genesis(&home, "genesis.lf");
    let p = genesis.parameters();
    assert_eq!((p.name.as_str(), p.contact.as_str()), ("testnet", "admin@example.com"));
    assert_eq!((p.record_min_links, p.record_max_value_size, p.record_max_time_drift), (2, 1024, 90));
    assert_eq!(p.amendable_fields, ["comment", "recordmaxtimedrift"]);
    let secret = home.path().join("genesis-secret.pem");
    let owner = OwnerSecret::from_pem(&std::fs::read_to_string(&secret).unwrap()).unwrap();
    assert_eq!(owner.public(), genesis.owner());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn impossible_networks() {
    let home = Home::new();
    std::fs::write(home.path().join("nameless.toml"), "links = 3\n").unwrap();
    std::fs::write(home.path().join("odd.toml"), "name = \"odd\"\nlinkz = 3\n").unwrap();
    for (line, why) in [
        ("makegenesis --name x --links 1", "fewer than 2 links"),
        ("makegenesis --name x --links 16", "at most 15 links"),
        ("makegenesis --name x --value-bytes 70000", "at most 65536"),
        ("makegenesis --name x --drift 0", "clocks"),
        ("makegenesis --name x --amendable id", "no field named \"id\""),
        ("makegenesis --name x --work-factor 0", "1 or more"),
        ("makegenesis --file nothing.toml", "cannot read nothing.toml"),
        ("makegenesis --file nameless.toml", "does not say the network's name"),
        ("makegenesis --file odd.toml", "line 2: unknown field `linkz`"),
    ] {
        assert!(home.run(line).error().contains(why), "{line}");
    }
    let refused = home.lf_with_input(["makegenesis"], b"testnet\n\n\n1\n");
    assert!(refused.error().contains("fewer than 2 links"));
    let nobody = home.lf_with_input(["makegenesis"], b"").error();
    assert!(nobody.contains("Network name") && nobody.contains("--name NAME"), "{nobody}");
    assert!(!home.path().join("genesis.lf").exists());
}
