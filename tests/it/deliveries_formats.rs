//! Deliveries to partners with a form of their own: each is a server written from the partner's
//! documentation, which refuses what the real one would refuse.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use mayfly_store::contract::servers::RedisServer;
use prost::Message;
use serde_json::{Value, json};
use sha1::Sha1;

use crate::program::Setup;
use crate::receiver::{Asked, Known, Protocol};
use crate::story::{Story, adds_up};

const BEFORE: &str = r#"
format = 1

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[segment]]
name = "drivers"
rule = 'visited("*", within 30d)'

[[partner]]
key = "acme"
vendor_id = 32

[[destination]]
name = "acme"
partner = "acme"
country = "US"
transfer = "clauses"
schedule = "every 1s"
minimum = 1
"#;

const MONTH_MINUTES: i64 = 30 * 24 * 60;

/// Two visitors come, one goes, one changes its id.
pub(crate) fn tell(protocol: Protocol, code: &str, way: &str, uids: [&str; 3]) -> Story {
    tell_from(Setup::new(), protocol, (code, way), uids)
}

fn tell_from(
    setup: Setup,
    protocol: Protocol,
    (code, way): (&str, &str),
    uids: [&str; 3],
) -> Story {
    let setup =
        setup.env("MAYFLY_SECRET_ACME_KEY", "k3y").env("MAYFLY_SECRET_ACME_PASSWORD", "p4ss\"word");
    let segments = format!("segments = [{{ segment = \"drivers\", code = \"{code}\" }}]");
    let story = Story::with(setup, protocol, |_| format!("{BEFORE}{segments}\n{way}"));
    let [ann, bob, carl] = uids;
    let mut first = story.visitor("/1", ann);
    let mut second = story.visitor("/2", bob);
    story.until(&[(ann, code), (bob, code)]);
    second.send("DELETE", "/api/v1/me", &[]);
    story.until(&[(ann, code)]);
    story.set_uid(&mut first, carl);
    story.until(&[(carl, code)]);
    story.settled();
    story.deliveries().iter().for_each(adds_up);
    let last = story.destination()["last"].clone();
    assert_eq!(last["status"], json!("done"), "{last:#}");
    let shown = story.program.setup().ok(&["delivery", "dry-run", "acme", "--full"]);
    assert!(!shown.contains("k3y") && !shown.contains("p4ss"), "{shown}");
    assert!(!story.program.log().contains("k3y"));
    story
}

pub(crate) fn refused(known: &mut Known, why: &str, asked: &Asked) -> (u16, Vec<u8>) {
    let body = String::from_utf8_lossy(&asked.body);
    known.faults.push(format!("{why}: {} {} {body}", asked.method, asked.path));
    (400, Vec::new())
}

pub(crate) fn ok(body: &Value) -> (u16, Vec<u8>) {
    (200, body.to_string().into_bytes())
}

/// Microsoft Monetize, "Batch Segment Service".
fn xandr(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    let error = |id: &str| ok(&json!({"response": {"status": "ERROR", "error_id": id}}));
    if asked.path == "/auth" {
        let auth = asked.json()["auth"].clone();
        if auth != json!({"username": "mayfly", "password": "p4ss\"word"}) {
            return error("UNAUTH");
        }
        return ok(&json!({"response": {"status": "OK", "token": "hbapi:1"}}));
    }
    if asked.header("authorization") != "hbapi:1" {
        return error("NOAUTH");
    }
    let job = |phase: &str, more: Value| {
        let mut job = json!({"id": 1, "job_id": "J1", "member_id": 958, "phase": phase});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // Data providers get a list of one.
        ok(&json!({"response": {"status": "OK", "batch_segment_upload_job": [job]}}))
    };
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/batch-segment?member_id=958") if asked.body.is_empty() => {
            known.notes.insert("url".to_owned(), "valid".to_owned());
            let url = format!("{}/upload/J1", known.notes["base"]);
            job("starting", json!({"upload_url": url}))
        }
        ("POST", "/upload/J1") => {
            if asked.header("content-type") != "application/octet-stream" {
                return refused(known, "the job fails without a word", asked);
            }
            if known.notes.remove("url").is_none() {
                return refused(known, "a URL is good once", asked);
            }
            let text = String::from_utf8(asked.body.clone()).unwrap();
            let mut valid = 0;
            for line in text.lines() {
                match line_of_xandr(line) {
                    Some((uid, code, -1)) => known.remove(uid, code),
                    Some((uid, code, minutes)) if minutes > 0 => known.add(uid, code, minutes),
                    _ => return refused(known, "illegal number of fields", asked),
                }
                valid += 1;
            }
            known.notes.insert("valid".to_owned(), valid.to_string());
            ok(&json!({"response": {"status": "OK", "segment_upload": {"job_id": "J1"}}}))
        }
        ("GET", "/batch-segment?member_id=958&job_id=J1") => {
            let valid: u64 = known.notes["valid"].parse().unwrap();
            if known.notes.remove("looked").is_none() {
                known.notes.insert("looked".to_owned(), String::new());
                return job("validating", json!({}));
            }
            job("completed", json!({"num_valid": valid, "num_valid_user": valid}))
        }
        _ => refused(known, "no such path", asked),
    }
}

/// `UID;SEG:MINUTES:0`: an unsigned number, a segment, minutes up to 180 days.
fn line_of_xandr(line: &str) -> Option<(&str, &str, i64)> {
    let (uid, segment) = line.split_once(';')?;
    uid.parse::<u64>().ok()?;
    let fields: Vec<&str> = segment.split(':').collect();
    let [code, minutes, "0"] = fields[..] else { return None };
    let minutes = minutes.parse().ok().filter(|minutes| (-1..=259_200).contains(minutes))?;
    Some((uid, code, minutes))
}

#[test]
fn xandr_takes_jobs() {
    let way = "secrets = { password = \"acme_password\" }\n[destination.xandr]\nhost = \"BASE\"\n\
               member = 958\nuser = \"mayfly\"\n";
    drop(tell(xandr, "4401", way, ["5912333222111000999", "7", "18446744073709551615"]));
}

fn signature(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The Trade Desk, data API.
fn trade_desk(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/data/advertiser") {
        return refused(known, "no such path", asked);
    }
    if asked.header("ttdsignature") != signature("k3y", &asked.body) {
        return refused(known, "a wrong signature", asked);
    }
    if asked.header("ttd-auth") != "p4ss\"word" {
        return (401, b"{}".to_vec());
    }
    let body = asked.json();
    let items = body["Items"].as_array().cloned().unwrap_or_default();
    if body["AdvertiserId"] != json!("adv1") || items.is_empty() {
        return refused(known, "no advertiser or items", asked);
    }
    let mut failed = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Some(uid) = item["TDID"].as_str().filter(|uid| uid.len() == 36) else {
            failed.push(json!({"ErrorCode": "InvalidId", "ItemNumber": (at + 1).to_string()}));
            continue;
        };
        for data in item["Data"].as_array().unwrap() {
            let (name, minutes) = (data["Name"].as_str().unwrap(), data["TtlInMinutes"].as_i64());
            match minutes {
                Some(0) => known.remove(uid, name),
                Some(minutes @ 1..=MONTH_MINUTES) => known.add(uid, name, minutes),
                _ => return refused(known, "a wrong time to live", asked),
            }
        }
    }
    ok(&if failed.is_empty() { json!({}) } else { json!({"FailedLines": failed}) })
}

#[test]
fn the_trade_desk_takes_signed_items() {
    let way = "secrets = { token = \"acme_password\", signing = \"acme_key\" }\n\
               [destination.trade_desk]\nhost = \"BASE\"\nparty = { advertiser = \"adv1\" }\n";
    let uid = |n: u8| format!("{n}0000000-1111-2222-3333-444444444444");
    let uids = [uid(1), uid(2), uid(3)];
    tell(trade_desk, "Auto Intent", way, uids.each_ref().map(String::as_str));
}

/// `cookie-bulk-upload.proto`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct UpdateUsersDataRequest {
    #[prost(message, repeated, tag = "1")]
    ops: Vec<UserDataOperation>,
    #[prost(bool, optional, tag = "2")]
    send_notifications: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    process_consent: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct UserDataOperation {
    #[prost(string, optional, tag = "1")]
    user_id: Option<String>,
    #[prost(int64, optional, tag = "4")]
    user_list_id: Option<i64>,
    #[prost(int64, optional, tag = "5")]
    time_added_to_user_list: Option<i64>,
    #[prost(bool, optional, tag = "6")]
    delete: Option<bool>,
    #[prost(int32, optional, tag = "14")]
    user_id_type: Option<i32>,
}

/// Google, Authorized Buyers, "Bulk Uploader".
fn google(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/upload?nid=acme_dmp") {
        return refused(known, "no such path", asked);
    }
    if asked.body.len() > 100 * 1024 {
        return (200, vec![0x08, 0x08]);
    }
    let Ok(read) = UpdateUsersDataRequest::decode(&asked.body[..]) else {
        return refused(known, "no such message", asked);
    };
    if read.process_consent != Some(true) {
        return refused(known, "MISSING_CONSENT", asked);
    }
    for own in &read.ops {
        let (Some(uid), Some(list)) = (&own.user_id, own.user_list_id) else {
            return refused(known, "BAD_DATA", asked);
        };
        if own.user_id_type.is_some() || !uid.starts_with("CAESE") {
            return refused(known, "UNKNOWN_ID", asked);
        }
        match (own.delete, own.time_added_to_user_list) {
            (Some(true), _) => known.remove(uid, &list.to_string()),
            (_, Some(at)) if at > 1_700_000_000 => known.add(uid, &list.to_string(), at),
            _ => return refused(known, "BAD_TIMESTAMP", asked),
        }
    }
    (200, vec![0x08, 0x00])
}

#[test]
fn google_takes_messages() {
    let way = "[destination.google]\nurl = \"BASE/upload\"\nnetwork = \"acme_dmp\"\n";
    let story = tell(google, "123456789012", way, ["CAESE-1", "CAESE-2", "CAESE_3"]);
    let Some(python) = std::env::var_os("MAYFLY_READERS") else {
        eprintln!("skipped: MAYFLY_READERS names no Python with protobuf");
        return;
    };
    // The last message, read by Google's own runtime: who has another id now.
    let message = story.partner.look(|known| known.asked.last().unwrap().body.clone());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/readers/google_message.py");
    let mut reader = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(&message).unwrap();
    let read = reader.wait_with_output().unwrap();
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(read["process_consent"], json!(true), "{read:#}");
    let added = read["ops"].as_array().unwrap().last().unwrap();
    assert_eq!(added["user_id"], json!("CAESE_3"), "{read:#}");
    assert_eq!(added["user_list_id"], json!("123456789012"));
}

#[test]
fn google_takes_messages_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    let way = "[destination.google]\nurl = \"BASE/upload\"\nnetwork = \"acme_dmp\"\n";
    let setup = Setup::new().env("MAYFLY_STORE__URL", &server.url());
    tell_from(setup, google, ("123456789012", way), ["CAESE-1", "CAESE-2", "CAESE_3"]);
}

/// Adobe, "Real-time outbound data transfers": every scalar a text.
fn adobe(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if asked.header("x-signature") != signature("k3y", &asked.body) {
        return refused(known, "a wrong signature", asked);
    }
    let body = asked.json();
    let users = body["Users"].as_array().cloned().unwrap_or_default();
    let is_text = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
    let needed = ["ProcessTime", "User_DPID", "Client_ID", "AAM_Destination_Id", "User_count"];
    if !needed.iter().all(|name| is_text(name)) || !(1..=10).contains(&users.len()) {
        return refused(known, "not of this form", asked);
    }
    if body["User_count"] != json!(users.len().to_string()) {
        return refused(known, "a wrong count", asked);
    }
    for user in &users {
        let uid = user["DataPartner_UUID"].as_str().unwrap();
        for segment in user["Segments"].as_array().unwrap() {
            let id = segment["Segment_ID"].as_str().unwrap();
            match segment["Status"].as_str() {
                Some("1") => known.add(uid, id, &segment["DateTime"]),
                Some("0") => known.remove(uid, id),
                _ => return refused(known, "a wrong status", asked),
            }
        }
    }
    (200, Vec::new())
}

#[test]
fn adobe_takes_signed_messages() {
    let way = "secrets = { signing = \"acme_key\" }\n[destination.adobe]\nurl = \"BASE/rt\"\n\
               data_source = \"1234\"\nclient = \"77\"\ndestination = \"4321\"\n";
    tell(adobe, "14356", way, ["c7f1e0d2a4", "b", "c"]);
}

/// A wrong certificate is no partner's.
#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let setup = Setup::new();
    let folder = setup.write("key.pem", "").parent().unwrap().to_owned();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", "key.pem"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-out", "cert.pem"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // The other one is a server of ours, behind TLS; it answers what it answers.
    let port = crate::program::free_port();
    let serve = |cert: &str| {
        std::process::Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-key", "key.pem", "-cert", cert])
            .args(["-accept", &port.to_string()])
            .current_dir(&folder)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut server = serve("cert.pem");
    let way = format!(
        "segments = [{{ segment = \"drivers\", code = \"1\" }}]\n[destination.request]\n\
         url = \"https://localhost:{port}/\"\nbody = '{{{{ items }}}}'\n"
    );
    let story = Story::with(setup, adobe, |_| format!("{BEFORE}{way}"));
    let _ann = story.visitor("/1", "ann");
    story.program.until("refuse the certificate", |_| {
        (story.destination()["last"]["code"] == json!("tls")).then_some(())
    });
    // Believed by the operator, it is asked.
    let Story { program, partner } = story;
    let cert = folder.join("cert.pem").display().to_string();
    let program = program.stop().env("MAYFLY_DELIVERY__CA_FILE", &cert).start();
    let story = Story { program, partner };
    story.program.until("believe the certificate", |_| {
        let code = story.destination()["last"]["code"].clone();
        (code != json!("tls") && code != json!("cut_off")).then_some(())
    });
    server.kill().unwrap();
    server.wait().unwrap();
}
