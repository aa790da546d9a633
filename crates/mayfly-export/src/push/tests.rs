//! Whole talks: the requests of a batch, and what answers mean.

use mayfly_core::Timestamp;
use mayfly_segments::destination::way::{
    AdobeSettings, Expected, Party, Rule, TemplateSettings, TradeDeskSettings, XandrLayout,
    XandrSettings,
};
use serde_json::{Value, json};

use super::*;
use crate::batch::{Add, Batch, SegmentKey, UserChange};

fn batch() -> Batch {
    let segments = ["4401", "4402"].map(|code| SegmentKey { code: code.into(), name: "f".into() });
    let enters = UserChange {
        uid: "2f6b\"1d1e\t".into(),
        adds: vec![Add { segment: 0, ttl_s: 129_600 * 60 + 59 }],
        removes: vec![1],
    };
    let leaves = UserChange { uid: "7".into(), removes: vec![0], ..UserChange::default() };
    let now = Timestamp::from_secs(1_767_693_600);
    Batch { id: "d-1".into(), now, segments: segments.to_vec(), changes: vec![enters, leaves] }
}

fn answer(status: u16, body: &str) -> Answer<'_> {
    Answer { status, retry_after_s: None, body: body.as_bytes() }
}

fn sent(step: Step) -> Request {
    let Step::Send(request) = step else { panic!("{step:?}") };
    request
}

fn done(step: Step) -> Judged {
    let Step::Done(judged) = step else { panic!("{step:?}") };
    judged
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

fn later(code: &str) -> Judged {
    Judged::Later { after_s: None, code: code.into() }
}

#[test]
fn the_trade_desk_gets_one_signed_body_and_may_refuse_parts_of_it() {
    let settings = TradeDeskSettings {
        host: "https://use-data.adsrvr.org".into(),
        party: Party::Provider("dmp-test".into()),
        id_field: "TDID".into(),
    };
    let batch = batch();
    let talk = || TradeDesk::new(&settings, &batch, "token", Some("secret"));
    let request = sent(talk().next(None));
    assert_eq!(request.url, "https://use-data.adsrvr.org/data/thirdparty");
    assert_eq!(header(&request, "ttd-auth"), Some("token"));
    let signed = signature("secret", &request.body);
    assert_eq!(header(&request, "ttdsignature"), Some(signed.as_str()));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let at = "2026-01-06T10:00:00Z";
    let expected = json!({"DataProviderId": "dmp-test", "DataLoadTraceId": "d-1", "Items": [
        {"TDID": "2f6b\"1d1e\t", "Data": [
            {"Name": "4401", "TimestampUtc": at, "TtlInMinutes": 129_600},
            {"Name": "4402", "TimestampUtc": at, "TtlInMinutes": 0}]},
        {"TDID": "7", "Data": [{"Name": "4401", "TimestampUtc": at, "TtlInMinutes": 0}]},
    ]});
    assert_eq!(body, expected);
    let judge = |status, body: &str| done(talk().next(Some(&answer(status, body))));
    for all in ["{}", r#"{"FailedLines":[]}"#, r#"{"FailedLines":null}"#, ""] {
        assert_eq!(judge(200, all), all_taken(), "{all}");
    }
    // As RudderStack saw it: the item stands at the end of the message, from 1.
    let part = r#"{"FailedLines":[{"ErrorCode":"MissingUserId","Message":"Invalid UID2, item #2"},
        {"ErrorCode":"Unknown","Message":null,"ItemNumber":1,"DataName":"4402"}]}"#;
    let Judged::Taken { rejected } = judge(200, part) else { panic!() };
    let rows: Vec<_> = rejected.iter().map(|r| (r.user, r.segment, &*r.code, r.again)).collect();
    let expected = [(Some(1), None, "MissingUserId", false), (Some(0), Some(1), "Unknown", true)];
    assert_eq!(rows, expected);
    for (status, body, expected) in [
        (200, "{\"FailedLi", later("garbled")),
        (
            400,
            r#"{"ErrorCode":"InvalidParameterFormat"}"#,
            Judged::Refused { code: "InvalidParameterFormat".into() },
        ),
        (401, "", Judged::Refused { code: "401".into() }),
        (403, "<html>", Judged::Refused { code: "403".into() }),
        (404, "", Judged::Refused { code: "404".into() }),
        (413, "", Judged::Smaller),
        (500, "oops", later("500")),
        (503, "", later("503")),
    ] {
        assert_eq!(judge(status, body), expected, "{status}");
    }
    let slow = Answer { status: 429, retry_after_s: Some(7), body: b"" };
    let expected = Judged::Later { after_s: Some(7), code: "429".into() };
    assert_eq!(done(talk().next(Some(&slow))), expected);
    assert!(!format!("{request:?}").contains("token"), "no secret in a log");
}

fn xandr() -> XandrSettings {
    XandrSettings {
        host: "https://api.appnexus.com".into(),
        member: 958,
        user: "u".into(),
        layout: XandrLayout::default(),
    }
}

/// An answer about a job.
fn job(more: &str) -> String {
    let job = format!(r#"{{"job_id":"j1",{more}}}"#);
    format!(r#"{{"response":{{"status":"OK","batch_segment_upload_job":{job}}}}}"#)
}

const NO_AUTH: &str = r#"{"response":{"error_id":"NOAUTH","error":"expired"}}"#;

#[test]
fn xandr_is_signed_in_to_asked_for_a_url_and_looked_at_until_the_end() {
    let settings = xandr();
    let mut batch = batch();
    batch.changes[0].uid = "5912333222111000999".into();
    let mut talk = Xandr::new(&settings, &batch, "p", None);
    let auth = sent(talk.next(None));
    assert_eq!(auth.url, "https://api.appnexus.com/auth");
    assert_eq!(auth.body, br#"{"auth":{"password":"p","username":"u"}}"#);
    let token = TOKEN;
    let ask = sent(talk.next(Some(&token)));
    assert_eq!(
        (ask.method, &*ask.url),
        (Method::Post, "https://api.appnexus.com/batch-segment?member_id=958")
    );
    assert_eq!((header(&ask, "authorization"), ask.body.len()), (Some("t1"), 0));
    let url = URL;
    let upload = sent(talk.next(Some(&answer(200, url))));
    assert_eq!(upload.url, "https://up.example/x?y", "never built by us");
    assert_eq!(header(&upload, "content-type"), Some("application/octet-stream"));
    let lines = "5912333222111000999;4401:129600:0,4402:-1:0\n7;4401:-1:0\n";
    assert_eq!(upload.body, lines.as_bytes());
    assert_eq!(talk.job(), None, "nothing is uploaded yet");
    let up = answer(200, r#"{"response":{"status":"OK","segment_upload":{"job_id":"j1"}}}"#);
    let look = sent(talk.next(Some(&up)));
    assert_eq!(look.url, "https://api.appnexus.com/batch-segment?member_id=958&job_id=j1");
    assert_eq!(talk.next(Some(&answer(200, &job(r#""phase":"validating""#)))), Step::Wait(5));
    sent(talk.next(None));
    assert_eq!(talk.next(Some(&answer(200, &job(r#""phase":"processing""#)))), Step::Wait(5));
    sent(talk.next(None));
    // The token ran out meanwhile.
    let old = answer(401, NO_AUTH);
    assert_eq!(sent(talk.next(Some(&old))).url, "https://api.appnexus.com/auth");
    assert!(sent(talk.next(Some(&token))).url.contains("job_id=j1"), "not uploaded twice");
    let end = job(r#""phase":"completed","num_valid":2,"num_invalid_user":1"#);
    let Judged::Taken { rejected } = done(talk.next(Some(&answer(200, &end)))) else { panic!() };
    assert_eq!(talk.job().map(String::as_str), Some("j1"));
    let [row] = &rejected[..] else { panic!("{rejected:?}") };
    assert_eq!((&*row.code, row.pairs, row.user), ("num_invalid_user", 1, None));
    let mut forged = batch.clone();
    forged.changes[1].uid = "7;4401:-1:0,77".into();
    let mut talk = Xandr::new(&settings, &forged, "p", None);
    sent(talk.next(None));
    sent(talk.next(Some(&token)));
    let upload = sent(talk.next(Some(&answer(200, url))));
    assert!(!String::from_utf8_lossy(&upload.body).contains("77"), "an id adds no line");
    let mut talk = Xandr::new(&settings, &forged, "p", None);
    sent(talk.next(None));
    sent(talk.next(Some(&token)));
    // A token that does not last is asked for again, and not for ever.
    let mut last = talk.next(Some(&answer(401, NO_AUTH)));
    for _ in 0..20 {
        let Step::Send(request) = &last else { break };
        let again = if request.url.ends_with("/auth") { token } else { answer(401, NO_AUTH) };
        last = talk.next(Some(&again));
    }
    assert_eq!(done(last), Judged::Refused { code: "NOAUTH".into() });
}

/// The answer with a URL.
const URL: &str = r#"{"response":{"status":"OK","batch_segment_upload_job":
    [{"id":1,"job_id":"j1","upload_url":"https://up.example/x?y"}]}}"#;
/// The answer to an upload.
const UP: &str = r#"{"response":{"status":"OK","segment_upload":{"job_id":"j1"}}}"#;

#[test]
fn a_job_is_looked_at_whatever_becomes_of_a_look_and_not_for_ever() {
    let (settings, batch) = (xandr(), batch());
    let mut talk = Xandr::new(&settings, &batch, "p", None);
    sent(talk.next(None));
    for said in [TOKEN, answer(200, URL), answer(200, UP)] {
        sent(talk.next(Some(&said)));
    }
    assert_eq!(talk.next(Some(&answer(503, ""))), Step::Wait(5));
    sent(talk.next(None));
    let unanswered = Judged::Later { after_s: None, code: "timeout".into() };
    assert_eq!(talk.missed(unanswered), Step::Wait(5));
    sent(talk.next(None));
    let mut waited_s = 10;
    let end = loop {
        match talk.next(Some(&answer(200, &job(r#""phase":"validating""#)))) {
            Step::Wait(s) => waited_s += s,
            end @ (Step::Send(_) | Step::Done(_)) => break end,
        }
        sent(talk.next(None));
    };
    assert_eq!(done(end), Judged::Refused { code: "job_unfinished".into() });
    assert!((86_400..100_000).contains(&waited_s), "{waited_s}");
}

/// An upload that is never let in ends, however often it is signed in.
#[test]
fn a_token_that_is_never_taken_is_not_asked_for_again_and_again() {
    let (settings, batch) = (xandr(), batch());
    let mut talk = Xandr::new(&settings, &batch, "p", None);
    let mut step = talk.next(None);
    for _ in 0..50 {
        let Step::Send(request) = &step else { break };
        let said = match &*request.url {
            own if own.ends_with("/auth") => TOKEN,
            own if own.starts_with("https://up.example") => answer(401, NO_AUTH),
            _ => answer(200, URL),
        };
        step = talk.next(Some(&said));
    }
    assert_eq!(done(step), Judged::Refused { code: "NOAUTH".into() });
}

/// The answer with a token.
const TOKEN: Answer<'_> = Answer {
    status: 200,
    retry_after_s: None,
    body: br#"{"response":{"status":"OK","token":"t1"}}"#,
};

#[test]
fn xandr_is_asked_about_an_upload_that_was_begun_and_says_what_it_refuses() {
    let (settings, batch, token) = (xandr(), batch(), TOKEN);
    // After a crash the job that was begun is asked about.
    let mut again = Xandr::new(&settings, &batch, "p", Some("j1".into()));
    sent(again.next(None));
    assert!(sent(again.next(Some(&token))).url.contains("job_id=j1"));
    let failed = job(r#""phase":"error","error_code":"uploading-error""#);
    let expected = Judged::Later { after_s: Some(60), code: "uploading-error".into() };
    assert_eq!(done(again.next(Some(&answer(200, &failed)))), expected);
    for (body, expected) in [
        ("FILESIZE_LIMIT_EXCEEDED", Judged::Smaller),
        (
            "RATE_LIMIT_EXCEEDED",
            Judged::Later { after_s: Some(3600), code: "RATE_LIMIT_EXCEEDED".into() },
        ),
        ("SYSTEM", Judged::Refused { code: "SYSTEM".into() }),
    ] {
        let mut talk = Xandr::new(&settings, &batch, "p", None);
        sent(talk.next(None));
        sent(talk.next(Some(&token)));
        let said = format!(r#"{{"response":{{"status":"ERROR","error_code":"{body}"}}}}"#);
        assert_eq!(done(talk.next(Some(&answer(200, &said)))), expected);
    }
}

#[test]
fn adobe_gets_texts_alone_and_a_signature() {
    let settings = AdobeSettings {
        url: "https://partner.example/aam".into(),
        data_source: "1234".into(),
        client: "77".into(),
        destination: "4321".into(),
        signature_header: "X-Signature".into(),
    };
    // The documentation's own example.
    assert_eq!(
        signature("sample_partner_private_key", b"POST message content"),
        "+wFdR/afZNoVqtGl8/e1KJ4ykPU="
    );
    let batch = batch();
    let request = sent(Adobe::new(&settings, &batch, Some("k")).next(None));
    assert_eq!(header(&request, "x-signature"), Some(&*signature("k", &request.body)));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let at = "Tue Jan 06 10:00:00 UTC 2026";
    assert_eq!(body["ProcessTime"], json!(at));
    assert_eq!(body["User_count"], json!("2"));
    let first = json!({"DataPartner_UUID": "2f6b\"1d1e\t", "Segments": [
        {"Segment_ID": "4401", "Status": "1", "DateTime": at},
        {"Segment_ID": "4402", "Status": "0", "DateTime": at}]});
    assert_eq!(body["Users"][0], first);
    let judged = done(Adobe::new(&settings, &batch, None).next(Some(&answer(202, ""))));
    assert_eq!(judged, Judged::Refused { code: "202".into() }, "it must be 200");
}

fn criteo() -> TemplateSettings {
    let body = |operation: &str| {
        format!(
            "{{\"data\":{{\"type\":\"ContactlistAmendment\",\"attributes\":{{\"operation\":\"{operation}\",\
             \"identifierType\":\"gum\",\"identifiers\":{{{{ items|map(attribute='uid')|list }}}}}}}}}}"
        )
    };
    TemplateSettings {
        method: Method::Patch,
        url: "https://api.criteo.com/audience-segments/{{ segment|urlencode }}/contact-list".into(),
        headers: [
            ("Authorization".into(), "Bearer {{ secret.token }}".into()),
            ("Content-Type".into(), "application/json".into()),
        ]
        .into(),
        add: Some(body("add").into()),
        remove: Some(body("remove").into()),
        answer: Rule {
            failed: Some("/errors".into()),
            failed_item: "/source".into(),
            failed_code: "/code".into(),
            again: vec!["throttled".into()],
            ..Rule::default()
        },
        ..TemplateSettings::default()
    }
}

fn secrets() -> Vec<(Box<str>, Box<str>)> {
    vec![("token".into(), "s3cret".into())]
}

#[test]
fn a_template_makes_a_request_for_each_segment_and_operation() {
    let (secrets, batch) = (secrets(), batch());
    let template = Template::new(criteo(), &secrets).unwrap();
    let mut talk = Templated::new(&template, &batch, &secrets);
    let first = sent(talk.next(None));
    assert_eq!(first.method.label(), "PATCH");
    assert_eq!(first.url, "https://api.criteo.com/audience-segments/4401/contact-list");
    assert_eq!(header(&first, "authorization"), Some("Bearer s3cret"));
    let body: Value = serde_json::from_slice(&first.body).unwrap();
    let attributes = &body["data"]["attributes"];
    assert_eq!(attributes["operation"], json!("add"));
    assert_eq!(attributes["identifiers"], json!(["2f6b\"1d1e\t"]), "an id cannot break out");
    let second = sent(talk.next(Some(&answer(200, r#"{"errors":[]}"#))));
    assert!(String::from_utf8_lossy(&second.body).contains("\"remove\""));
    // Named by its id; a second entry is more than there were items.
    let part = r#"{"errors":[{"source":"7","code":"audience-invalid"},{"source":0,"code":"x"}]}"#;
    let third = sent(talk.next(Some(&answer(200, part))));
    assert!(third.url.contains("/4402/"), "{}", third.url);
    // Named by its place.
    let part = r#"{"errors":[{"source":0,"code":"throttled"}]}"#;
    let Judged::Taken { rejected } = done(talk.next(Some(&answer(200, part)))) else { panic!() };
    let rows: Vec<_> = rejected.iter().map(|r| (r.user, r.segment, &*r.code, r.again)).collect();
    let expected =
        [(Some(1), Some(0), "audience-invalid", false), (Some(0), Some(1), "throttled", true)];
    assert_eq!(rows, expected);
    let mut talk = Templated::new(&template, &batch, &secrets);
    sent(talk.next(None));
    assert_eq!(done(talk.next(Some(&answer(200, "half a bo")))), later("garbled"));
    // Who leaves is never passed over: that nobody takes it is for a person to see.
    let mut talk = Templated::new(&template, &batch, &secrets);
    sent(talk.next(None));
    assert!(!talk.is_partly_taken());
    sent(talk.next(Some(&answer(200, "{}"))));
    assert!(talk.is_partly_taken());
    assert_eq!(done(talk.next(Some(&answer(404, "{}")))), Judged::Refused { code: "404".into() });
    // One segment that is not known there keeps the others from nothing.
    let mut talk = Templated::new(&template, &batch, &secrets);
    sent(talk.next(None));
    sent(talk.next(Some(&answer(404, ""))));
    sent(talk.next(Some(&answer(200, "{}"))));
    let Judged::Taken { rejected } = done(talk.next(Some(&answer(200, "{}")))) else { panic!() };
    assert_eq!(rejected.iter().map(|r| &*r.code).collect::<Vec<_>>(), ["404"]);
}

#[test]
fn failures_that_are_counted_and_not_named_are_counted() {
    let settings = TemplateSettings {
        remove_method: Some(Method::Delete),
        answer: Rule {
            failed: Some("/list".into()),
            failed_item: "/at".into(),
            failed_code: "/why".into(),
            failed_count: Some("/invalid".into()),
            ..Rule::default()
        },
        ..criteo()
    };
    let (secrets, batch) = (secrets(), batch());
    let template = Template::new(settings, &secrets).unwrap();
    let mut talk = Templated::new(&template, &batch, &secrets);
    assert_eq!(sent(talk.next(None)).method.label(), "PATCH");
    // No more than there were items, whatever it says.
    let removes = sent(talk.next(Some(&answer(200, r#"{"invalid":7}"#))));
    assert_eq!(removes.method.label(), "DELETE");
    sent(talk.next(Some(&answer(200, r#"{"invalid":"1","list":[{"at":0,"why":"x"}]}"#))));
    let Judged::Taken { rejected } = done(talk.next(Some(&answer(200, r#"{"invalid":0}"#)))) else {
        panic!()
    };
    let rows: Vec<_> = rejected.iter().map(|r| (r.user, &*r.code, r.pairs)).collect();
    assert_eq!(rows, [(None, "invalid", 1), (Some(1), "x", 1)]);
}

/// A partner's text is kept as a code, and no id that stands in it, however it is written.
#[test]
fn no_id_comes_back_as_a_code() {
    let (secrets, batch) = (secrets(), batch());
    let template = Template::new(criteo(), &secrets).unwrap();
    for (item, said, kept) in [
        ("2f6b\\\"1d1e\\t", "INVALID_ID", "INVALID_ID"),
        ("2f6b\\\"1d1e\\t", "no user 2F6B-1D1E", "refused"),
        ("", "INVALID_ID", "INVALID_ID"),
        ("", "no user 2F6B-1D1E", "refused"),
        ("", "AAAA-1234567", "refused"),
        ("other", "2f6b\\\"1d1e\\t", "refused"),
    ] {
        let mut talk = Templated::new(&template, &batch, &secrets);
        sent(talk.next(None));
        let errors = format!(r#"{{"errors":[{{"source":"{item}","code":"{said}"}}]}}"#);
        let mut step = talk.next(Some(&answer(200, &errors)));
        while let Step::Send(_) = step {
            step = talk.next(Some(&answer(200, r#"{"errors":[]}"#)));
        }
        let Judged::Taken { rejected } = done(step) else { panic!() };
        assert_eq!(rejected.iter().map(|r| &*r.code).collect::<Vec<_>>(), [kept], "{said}");
    }
}

#[test]
fn a_template_for_all_changes_knows_lives_and_operations() {
    let body = "{% for i in items %}{{ i.uid }} {{ i.op }} {{ i.segment }} {{ i.ttl_min }} \
        {{ i.expires }}\n{% endfor %}";
    let settings = TemplateSettings {
        url: "https://p.example/{{ batch }}".into(),
        headers: [("content-type".into(), "text/plain".into())].into(),
        body: Some(body.into()),
        answer: Rule {
            ok: Some(Expected { at: "/status".into(), is: "OK".into() }),
            ..Rule::default()
        },
        ..TemplateSettings::default()
    };
    let template = Template::new(settings, &[]).unwrap();
    let mut batch = batch();
    batch.changes[0].uid = "a".into();
    let mut talk = Templated::new(&template, &batch, &[]);
    let request = sent(talk.next(None));
    let lines = "a add 4401 129600 2026-04-06T10:00:59Z\na remove 4402 0 2026-01-06T10:00:00Z\n\
        7 remove 4401 0 2026-01-06T10:00:00Z\n";
    assert_eq!(
        (request.url.as_str(), String::from_utf8(request.body).unwrap()),
        ("https://p.example/d-1", lines.to_owned())
    );
    let refused = done(talk.next(Some(&answer(200, r#"{"status":"ERROR"}"#))));
    assert_eq!(refused, Judged::Refused { code: "ERROR".into() }, "nothing at all was taken");
    let mut talk = Templated::new(&template, &batch, &[]);
    sent(talk.next(None));
    let silent = TemplateSettings { headers: Default::default(), ..criteo() };
    let silent = Template::new(silent, &secrets()).unwrap();
    let asked = sent(Templated::new(&silent, &batch, &[]).next(None));
    assert_eq!(header(&asked, "content-type"), Some("application/json"), "as nothing else is said");
    let stranger = done(talk.next(Some(&answer(401, ""))));
    assert_eq!(stranger, Judged::Refused { code: "401".into() });
}

#[test]
fn what_is_wrong_with_a_template_is_told_with_its_place() {
    let wrong = |change: fn(&mut TemplateSettings)| {
        let mut settings = criteo();
        change(&mut settings);
        Template::new(settings, &secrets()).unwrap_err().to_string()
    };
    let unclosed = wrong(|own| own.add = Some("{\n  \"x\": {{ items \n}".into()));
    assert!(unclosed.starts_with("add, line "), "{unclosed}");
    let unknown = wrong(|own| own.remove = Some("{\n \"x\": {{ itms }}}".into()));
    assert!(unknown.starts_with("remove, line 2, column "), "{unknown}");
    let secret =
        wrong(|own| *own.headers.values_mut().next().unwrap() = "{{ secret.tokn }}".into());
    assert!(secret.starts_with("Authorization, line 1, column "), "{secret}");
    let quoted = wrong(|own| own.add = Some("{\n\"x\": \"{{ items[0].uid }}\"}".into()));
    assert!(quoted.starts_with("add, line 2, column 8: once filled it is no JSON"), "{quoted}");
    let nobody =
        wrong(|own| own.add = Some("{\"x\": {{ items|map(attribute='uidd')|list }}}".into()));
    assert!(nobody.starts_with("add, line 1, column 1: the ids of visitors are not"), "{nobody}");
    let never = wrong(|own| own.remove = None);
    assert!(never.starts_with("remove, line 1, column 1: is missing"), "{never}");
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    let settings = TemplateSettings { add: Some(endless.into()), ..criteo() };
    let endless = Template::new(settings, &secrets()).unwrap_err();
    assert!(endless.what.contains("fuel"), "{endless}");
}
