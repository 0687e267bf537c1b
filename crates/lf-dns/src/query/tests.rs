#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::RrSet;

const NOW: u64 = 1_800_000_000;

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn zones() -> Zones {
    Zones::new(vec![
        Zone::new(name("example.lf"), vec![]),
        Zone::new(name("sub.example.lf"), vec![name("a.ns"), name("b.ns")]),
    ])
}

/// A small zone. Everything else is known not to be there.
fn stored() -> HashMap<DomainName, NameRecords> {
    let mut names: HashMap<DomainName, NameRecords> = HashMap::new();
    let mut add = |of: &str, ty: RecordType, value: &str| {
        let set = RrSet::from_value(ty, value.as_bytes()).unwrap().unwrap();
        names.entry(name(of)).or_default().sets.insert(u16::from(ty), set);
    };
    add("example.lf", RecordType::MX, "300 10 mail.example.lf");
    add("example.lf", RecordType::CNAME, "300 www.example.lf");
    add("www.example.lf", RecordType::A, "300 192.0.2.1\n300 192.0.2.2");
    add("alias.example.lf", RecordType::CNAME, "60 alias2.example.lf");
    add("alias2.example.lf", RecordType::CNAME, "60 www.example.lf");
    add("out.example.lf", RecordType::CNAME, "60 www.other");
    add("dangling.example.lf", RecordType::CNAME, "60 nowhere.example.lf");
    add("loop.example.lf", RecordType::CNAME, "60 loop.example.lf");
    add("*.wild.example.lf", RecordType::TXT, "60 wild");
    add("there.wild.example.lf", RecordType::A, "60 192.0.2.3");
    add("big.example.lf", RecordType::TXT, &format!("60 \"{}\"\n", "x".repeat(200)).repeat(1));
    let many: String = (0..40).map(|n| format!("60 \"{n} {}\"\n", "x".repeat(100))).collect();
    add("big.example.lf", RecordType::TXT, &many);
    let some: String = (0..40).map(|n| format!("60 192.0.2.{n}\n")).collect();
    add("some.example.lf", RecordType::A, &some);
    names.entry(name("marked.example.lf")).or_default().marked = true;
    names
}

fn answer_bytes(
    bytes: &[u8],
    transport: Transport,
    known: &impl Fn(&DomainName) -> Known,
) -> Option<Vec<u8>> {
    let query = match Query::read(bytes, transport) {
        Incoming::Ignored => return None,
        Incoming::Answered(answer) => return Some(answer),
        Incoming::Question(query) => query,
    };
    let mut names = KnownNames::new();
    for _ in 0..1000 {
        match query.step(&zones(), &names, false, NOW) {
            Step::Answer(answer) => return Some(answer),
            Step::Need(name) => {
                let told = known(&name);
                assert!(names.insert(name, told).is_none(), "asked twice");
            }
            Step::Forward | Step::Follow(_) => panic!("forwarding was not allowed"),
        }
    }
    panic!("asks for ever");
}

fn fresh(name: &DomainName) -> Known {
    Known::Fresh(Arc::new(stored().remove(name).unwrap_or_default()))
}

fn stale(name: &DomainName) -> Known {
    Known::Stale(Arc::new(stored().remove(name).unwrap_or_default()))
}

fn ask_with(of: &str, ty: RecordType, edns: Option<Edns>, transport: Transport) -> Message {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.add_query(Question::query(Name::from_ascii(of).unwrap(), ty));
    message.edns = edns;
    let answer = answer_bytes(&message.to_vec().unwrap(), transport, &fresh).unwrap();
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!((answer.metadata.id, answer.metadata.message_type), (77, MessageType::Response));
    answer
}

fn ask(of: &str, ty: RecordType) -> Message {
    ask_with(of, ty, None, Transport::Tcp)
}

/// The answer's code, its answers and the names of its authorities.
fn shown(message: &Message) -> String {
    let records = |records: &[Record]| {
        let one = |record: &Record| match &record.data {
            RData::SOA(_) => format!("{} SOA", record.name),
            data => format!("{} {} {}", record.name, record.ttl, crate::data::show(data)),
        };
        records.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let code = message.metadata.response_code;
    format!("{code:?}: {} | {}", records(&message.answers), records(&message.authorities))
}

#[test]
fn answers() {
    let a = |of| shown(&ask(of, RecordType::A));
    assert_eq!(
        a("www.example.lf."),
        "NoError: www.example.lf. 300 192.0.2.1, www.example.lf. 300 192.0.2.2 | "
    );
    assert!(ask("www.example.lf.", RecordType::A).metadata.authoritative);
    // As it was asked, for clients that look whether their letters come back.
    assert!(a("wWw.ExAmPlE.lf.").contains(": wWw.ExAmPlE.lf. 300 192.0.2.1"));
    assert_eq!(a("nowhere.example.lf."), "NXDomain:  | example.lf. SOA");
    assert_eq!(shown(&ask("www.example.lf.", RecordType::TXT)), "NoError:  | example.lf. SOA");
    assert_eq!(a("marked.example.lf."), "NoError:  | example.lf. SOA");
    assert_eq!(a("_tcp.example.lf."), "NoError:  | example.lf. SOA");
    assert_eq!(a("www.other."), "Refused:  | ");
    assert_eq!(a("anexample.lf."), "Refused:  | ");
    assert_eq!(a("a\\.b.example.lf."), "NXDomain:  | example.lf. SOA");
    assert_eq!(a("a\\.b.other."), "Refused:  | ");
}

#[test]
fn the_apex_is_made_here() {
    let soa = ask("example.lf.", RecordType::SOA);
    let RData::SOA(data) = &soa.answers[0].data else { panic!() };
    assert_eq!((data.mname.to_ascii().as_str(), data.serial), ("ns.example.lf.", NOW as u32));
    let ns = shown(&ask("sub.example.lf.", RecordType::NS));
    assert_eq!(ns.matches(" 3600 ").count(), 2, "{ns}");
    assert_eq!(
        shown(&ask("example.lf.", RecordType::A)),
        "NoError:  | example.lf. SOA",
        "no alias at the apex"
    );
    assert_eq!(shown(&ask("example.lf.", RecordType::CNAME)), "NoError:  | example.lf. SOA");
    assert!(shown(&ask("example.lf.", RecordType::MX)).contains("10 mail.example.lf."));
    assert_eq!(shown(&ask("x.sub.example.lf.", RecordType::A)), "NXDomain:  | sub.example.lf. SOA");
}

#[test]
fn aliases() {
    let a = |of| shown(&ask(of, RecordType::A));
    assert_eq!(
        a("alias.example.lf."),
        "NoError: alias.example.lf. 60 alias2.example.lf., alias2.example.lf. 60 www.example.lf., \
         www.example.lf. 300 192.0.2.1, www.example.lf. 300 192.0.2.2 | "
    );
    assert_eq!(
        shown(&ask("alias.example.lf.", RecordType::CNAME)),
        "NoError: alias.example.lf. 60 alias2.example.lf. | "
    );
    assert_eq!(a("out.example.lf."), "NoError: out.example.lf. 60 www.other. | ");
    assert_eq!(
        a("dangling.example.lf."),
        "NXDomain: dangling.example.lf. 60 nowhere.example.lf. | example.lf. SOA"
    );
    assert_eq!(a("loop.example.lf."), "ServFail:  | ");
}

#[test]
fn wildcards() {
    let txt = |of| shown(&ask(of, RecordType::TXT));
    assert_eq!(txt("x.wild.example.lf."), "NoError: x.wild.example.lf. 60 \"wild\" | ");
    assert_eq!(txt("x.y.wild.example.lf."), "NoError: x.y.wild.example.lf. 60 \"wild\" | ");
    assert_eq!(shown(&ask("x.wild.example.lf.", RecordType::A)), "NoError:  | example.lf. SOA");
    assert_eq!(txt("there.wild.example.lf."), "NoError:  | example.lf. SOA");
    // A name that is there hides the wildcard from what is below it.
    assert_eq!(txt("x.there.wild.example.lf."), "NXDomain:  | example.lf. SOA");
    assert_eq!(txt("*.wild.example.lf."), "NoError: *.wild.example.lf. 60 \"wild\" | ");
}

#[test]
fn any_is_minimal() {
    let any = ask("www.example.lf.", RecordType::ANY);
    assert_eq!((any.answers.len(), any.answers[0].record_type()), (1, RecordType::HINFO));
    assert_eq!(ask("nowhere.example.lf.", RecordType::ANY).metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(ask("www.example.lf.", RecordType::AXFR).metadata.response_code, ResponseCode::Refused);
}

#[test]
fn sizes() {
    let edns = |payload| {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        Some(edns)
    };
    let ask = |of: &str, ty, edns, transport| ask_with(of, ty, edns, transport);
    let small = ask("some.example.lf.", RecordType::A, None, Transport::Udp);
    assert!(small.metadata.truncation && small.answers.is_empty() && small.edns.is_none());
    let large = ask("some.example.lf.", RecordType::A, edns(4096), Transport::Udp);
    assert_eq!((large.metadata.truncation, large.answers.len()), (false, 40));
    assert_eq!(large.edns.unwrap().max_payload(), UDP_BYTES_MAX);
    let tiny = ask("some.example.lf.", RecordType::A, edns(0), Transport::Udp);
    assert!(tiny.metadata.truncation);
    let too_large = ask("big.example.lf.", RecordType::TXT, edns(65535), Transport::Udp);
    assert!(too_large.metadata.truncation && too_large.answers.is_empty());
    let tcp = ask("big.example.lf.", RecordType::TXT, None, Transport::Tcp);
    assert_eq!((tcp.metadata.truncation, tcp.answers.len()), (false, 40));
}

#[test]
fn edns() {
    let mut new = Edns::new();
    new.set_version(1);
    let answer = ask_with("www.example.lf.", RecordType::A, Some(new), Transport::Udp);
    // 16, which TSIG calls BADSIG.
    assert_eq!(u16::from(answer.metadata.response_code), u16::from(ResponseCode::BADVERS));
    assert_eq!(answer.edns.unwrap().version(), 0);
    let mut secure = Edns::new();
    secure.set_dnssec_ok(true);
    let answer = ask_with("www.example.lf.", RecordType::A, Some(secure), Transport::Udp);
    assert!(answer.edns.unwrap().flags().dnssec_ok && !answer.metadata.authentic_data);
    assert_eq!(answer.answers.len(), 2);
}

#[test]
fn stale_answers_say_so() {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.add_query(Question::query(Name::from_ascii("www.example.lf.").unwrap(), RecordType::A));
    message.set_edns(Edns::new());
    let bytes = message.to_vec().unwrap();
    let answer = Message::from_vec(&answer_bytes(&bytes, Transport::Udp, &stale).unwrap()).unwrap();
    assert!(answer.answers.iter().all(|record| record.ttl == STALE_TTL_SECONDS));
    let edns = answer.edns.unwrap();
    assert_eq!(edns.options().as_ref().len(), 1);
    let nothing = answer_bytes(&bytes, Transport::Udp, &|_| Known::Nothing).unwrap();
    assert_eq!(Message::from_vec(&nothing).unwrap().metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn what_is_no_question() {
    let good = question(5, &name("www.example.lf").to_wire(), RecordType::A);
    let answered = |bytes: &[u8]| answer_bytes(bytes, Transport::Udp, &fresh);
    let code = |bytes: &[u8]| {
        let answer = answered(bytes).unwrap();
        assert_eq!(answer[..2], bytes[..2]);
        (answer.len(), answer[3] & 0xf)
    };
    assert_eq!(answered(&good[..11]), None);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(answered(&with(2, 0x80)), None, "an answer");
    assert_eq!(code(&with(2, 0x28)), (12, 4), "an update");
    assert_eq!(code(&with(5, 0)), (12, 1), "no question");
    assert_eq!(code(&with(5, 2)), (12, 1), "two questions");
    assert_eq!(code(&with(7, 1)), (12, 1), "an answer in a question");
    assert_eq!(code(&with(4, 0xff)), (12, 1));
    assert_eq!(code(&good[..20]), (12, 1), "cut off");
    // A name that is two bytes of the header: found by fuzzing.
    assert_eq!(code(&[0x53, 0xff, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 2, 2, 0, 0x20, 0x38]), (12, 1));
    let class = good.len() - 1;
    assert_eq!(code(&with(class, 3)).1, 5, "another class");
}

#[test]
fn other_zones_are_forwarded_if_wanted() {
    let bytes = question(5, &name("www.other").to_wire(), RecordType::A);
    let Incoming::Question(mut query) = Query::read(&bytes, Transport::Udp) else { panic!() };
    let step = |query: &Query, forwards| query.step(&zones(), &KnownNames::new(), forwards, NOW);
    assert!(matches!(step(&query, true), Step::Answer(_)), "not wanted");
    query.recursion_desired = true;
    assert!(matches!(step(&query, false), Step::Answer(_)));
    assert!(matches!(step(&query, true), Step::Forward));
    let mut answer = query.upstream(9);
    assert_eq!(query.from_upstream(answer.clone(), 9), None, "not an answer");
    answer[2] |= 0x80;
    assert_eq!(query.from_upstream(answer.clone(), 8), None, "another id");
    let ours = query.from_upstream(answer.clone(), 9).unwrap();
    assert_eq!((ours[..2].to_vec(), &ours[2..]), (vec![0, 5], &answer[2..]));
    let other = question(5, &name("www.others").to_wire(), RecordType::A);
    let Incoming::Question(other) = Query::read(&other, Transport::Udp) else { panic!() };
    assert_eq!(other.from_upstream(answer.clone(), 9), None, "another question");
    assert_eq!(query.from_upstream([answer, vec![0; 600]].concat(), 9), None, "larger than asked for");
}

#[test]
fn aliases_that_lead_elsewhere_are_followed_if_wanted() {
    let mut bytes = question(5, &name("out.example.lf").to_wire(), RecordType::A);
    bytes[2] |= 1;
    let Incoming::Question(query) = Query::read(&bytes, Transport::Udp) else { panic!() };
    let names = [(name("out.example.lf"), fresh(&name("out.example.lf")))].into_iter().collect();
    let follow = || match query.step(&zones(), &names, true, NOW) {
        Step::Follow(follow) => *follow,
        other => panic!("{other:?}"),
    };
    let asked = Message::from_vec(&follow().query.upstream(9)).unwrap();
    assert_eq!(asked.queries[0].name, name("www.other").to_wire());
    let mut elsewhere = asked.into_response();
    elsewhere.add_answer(Record::from_rdata(
        name("www.other").to_wire(),
        5,
        RData::A("192.0.2.9".parse().unwrap()),
    ));
    let followed = |elsewhere: &Message| {
        let answer = query.followed(follow(), &elsewhere.to_vec().unwrap());
        Message::from_vec(&answer).unwrap()
    };
    let answer = followed(&elsewhere);
    assert_eq!(shown(&answer), "NoError: out.example.lf. 60 www.other., www.other. 5 192.0.2.9 | ");
    assert!(answer.metadata.recursion_available && answer.metadata.id == 5);
    elsewhere.metadata.truncation = true;
    assert!(followed(&elsewhere).metadata.truncation);
    elsewhere.metadata.truncation = false;
    elsewhere.metadata.response_code = ResponseCode::Refused;
    assert_eq!(followed(&elsewhere).metadata.response_code, ResponseCode::ServFail);
    assert_eq!(query.followed(follow(), b"x")[3] & 0xf, 2);
}

proptest! {
    #[test]
    fn garbage_is_never_answered_with_more(bytes in proptest::collection::vec(any::<u8>(), 0..80), at: usize) {
        for transport in [Transport::Udp, Transport::Tcp] {
            if let Some(answer) = answer_bytes(&bytes, transport, &fresh) {
                prop_assert!(answer.len() <= bytes.len(), "{answer:?}");
            }
        }
        // Garbage behind a header that says question.
        let mut bytes = bytes;
        let header = [at as u8, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0, (at >> 8) as u8 & 1];
        bytes.splice(..bytes.len().min(12), header);
        if let Some(answer) = answer_bytes(&bytes, Transport::Udp, &fresh) {
            prop_assert!(answer.len() <= bytes.len(), "{answer:?}");
        }
    }

    #[test]
    fn a_question_that_was_changed_gets_a_bounded_answer(
        of in 0..10_usize, ty: u16, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
    ) {
        let names = ["www.example.lf", "big.example.lf", "a.b.c.d.example.lf", "alias.example.lf", "x.wild.example.lf"];
        let mut bytes = question(1, &name(names[of % names.len()]).to_wire(), RecordType::from(ty % 300));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(answer) = answer_bytes(&bytes, Transport::Udp, &stale) {
            prop_assert!(answer.len() <= usize::from(UDP_BYTES_MAX));
            prop_assert_eq!(&answer[..2], &bytes[..2]);
            prop_assert!(answer[2] & 0x80 != 0);
            prop_assert!(answer.len() == 12 || Message::from_vec(&answer).is_ok());
        }
        if let Incoming::Question(query) = Query::read(&bytes, Transport::Udp) {
            prop_assert!(query.ask_over_tcp().len() <= bytes.len());
            prop_assert!(query.failure(ResponseCode::Refused).len() <= bytes.len());
        }
    }
}
