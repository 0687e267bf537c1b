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
    let made = home.run("makegenesis --name mine --comment ours --output net");
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
fn by_answers_in_the_old_order() {
    let home = Home::new();
    let answers = b"testnet\nadmin@example.com\na test network\n2\n\n90\nbogus\n comment, RecordMaxForwardTimeDrift\nn\n";
    let made = home.lf_with_input(["makegenesis"], answers);
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
    for (line, why) in [
        ("makegenesis --name x --links 1", "fewer than 2 links"),
        ("makegenesis --name x --links 16", "at most 15 links"),
        ("makegenesis --name x --value-bytes 70000", "at most 65536"),
        ("makegenesis --name x --drift 0", "clocks"),
        ("makegenesis --name x --amendable id", "no field named \"id\""),
    ] {
        assert!(home.run(line).error().contains(why), "{line}");
    }
    let refused = home.lf_with_input(["makegenesis"], b"testnet\n\n\n1\n");
    assert!(refused.error().contains("fewer than 2 links"));
    assert!(home.lf_with_input(["makegenesis"], b"").error().contains("Network name"));
    assert!(!home.path().join("genesis.lf").exists());
}
