//! `lf url` and `lf oracle`: lists in client.json.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use support::Home;

#[test]
fn urls() {
    let home = Home::new();
    assert_eq!(home.run("url list").good(), "http://127.0.0.1:9980\n");
    assert!(!home.path().join("client.json").exists(), "looking changes nothing");
    assert_eq!(home.run("url delete http://127.0.0.1:9980/").good(), "");
    assert_eq!(home.run("url").good(), "");
    for line in ["get x", "set x y", "status", "owner status @LqT2XCXvWaLkbOHpsvP"] {
        let error = home.run(line).error();
        assert!(error.contains("no node URL is configured") && error.contains("lf url add"), "{error}");
    }
    assert_eq!(home.run("url add http://127.0.0.1:1").good(), "http://127.0.0.1:1\n");
    assert_eq!(
        home.run("url add http://example.com/x//").good(),
        "http://example.com/x\nhttp://127.0.0.1:1\n"
    );
    assert_eq!(home.run("url add http://127.0.0.1:1").good(), "http://example.com/x\nhttp://127.0.0.1:1\n");
    assert_eq!(
        home.run("url default http://127.0.0.1:1").good(),
        "http://127.0.0.1:1\nhttp://example.com/x\n"
    );
    assert!(home.run("url default https://new.example/").good().starts_with("https://new.example\n"));
    for bad in ["://bad", "", "ftp://x"] {
        for operation in ["add", "delete", "default"] {
            assert!(home.lf(["url", operation, bad]).error().contains("invalid URL"), "{operation} {bad}");
        }
    }
    assert!(home.run("url delete http://unknown.example").error().contains("not in the list"));
    let json: Vec<String> = serde_json::from_str(&home.run("url list --json").good()).unwrap();
    assert_eq!(json.len(), 3);
    for line in ["url add", "url bogus"] {
        home.run(line).usage_error();
    }
}

#[test]
fn oracles() {
    let home = Home::new();
    let (one, two) = ("@4l737WzvOJqEsX5Z4urXgHrEFmhbfKog", "@Xd7cEkNNO7CddJIuWuf959PywervQb1LXQrWZzifZnb");
    assert_eq!(home.run("oracle list").good(), "");
    assert_eq!(home.lf(["oracle", "add", one]).good(), format!("{one} added as trusted oracle\n"));
    assert!(home.lf(["oracle", "add", one]).good().contains("already exists"));
    home.lf(["oracle", "add", two]).good();
    assert_eq!(home.run("oracle").good(), format!("{one}\n{two}\n"));
    assert_eq!(
        home.lf(["oracle", "delete", one]).good(),
        format!("{one} removed from trusted oracle list\n")
    );
    assert!(home.lf(["oracle", "delete", one]).error().contains("not found"));
    for bad in ["abc", "@", "@é"] {
        assert!(home.lf(["oracle", "add", bad]).error().contains("invalid oracle owner"), "{bad}");
    }
}

#[test]
fn oracles_have_names_beside_the_list_that_others_read() {
    let home = Home::new();
    let (one, two) = ("@4l737WzvOJqEsX5Z4urXgHrEFmhbfKog", "@Xd7cEkNNO7CddJIuWuf959PywervQb1LXQrWZzifZnb");
    home.lf(["oracle", "add", one, "first"]).good();
    home.lf(["oracle", "add", two]).good();
    assert_eq!(home.run("oracle").good(), format!("{one} first\n{two}\n"));
    let json =
        || -> serde_json::Value { serde_json::from_str(&home.run("--json oracle list").good()).unwrap() };
    assert_eq!(json(), serde_json::json!([{ "Owner": one, "Name": "first" }, { "Owner": two }]));
    let file = || -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(home.path().join("client.json")).unwrap()).unwrap()
    };
    assert_eq!(file()["Oracles"], serde_json::json!([one, two]));
    assert_eq!(file()["OracleNames"], serde_json::json!({ "first": one }));
    assert!(home.lf(["oracle", "add", one, "first"]).good().contains("already exists"));
    assert!(home.lf(["oracle", "add", two, "first"]).error().contains(&format!("that of oracle {one}")));
    // A new name takes the old one's place.
    home.lf(["oracle", "add", one, "uno"]).good();
    assert_eq!(home.run("oracle").good(), format!("{one} uno\n{two}\n"));
    for bad in ["", "@uno", "a\nb"] {
        home.lf(["oracle", "add", two, bad]).usage_error();
    }
    assert!(home.run("oracle delete first").error().contains("invalid oracle owner first"));
    assert!(home.run("get --oracle first x").error().contains("no oracle has that name"));
    assert_eq!(home.run("oracle delete uno").good(), format!("{one} removed from trusted oracle list\n"));
    assert_eq!(home.run("oracle").good(), format!("{two}\n"));
    assert!(file().get("OracleNames").is_none());
}

#[test]
fn unreachable_nodes_are_named_with_a_hint() {
    let home = Home::new();
    let url = "http://127.0.0.1:1";
    for line in
        ["get x", "set x y", "status", "pulse x", "owner status @LqT2XCXvWaLkbOHpsvP", "export x", "watch x"]
    {
        let error = home.lf(line.split(' ').chain(["--url", url])).error();
        assert!(error.contains("cannot reach http://127.0.0.1:1: connection refused"), "{line}: {error}");
        assert!(error.contains("lf node start"), "{line}: {error}");
        assert!(!error.contains('\u{1b}'), "no colors where nobody sees them");
    }
    let by_env = home.command().env("LF_URL", url).args(["get", "x"]).output().unwrap();
    assert!(String::from_utf8_lossy(&by_env.stderr).contains(url));
    assert!(home.run("get -url ://bad x").error().contains("invalid URL"));
}
