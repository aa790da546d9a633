//! Files that are taken to their receiver: object stores and SFTP.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::program::{Setup, free_port};
use crate::receiver::{Asked, Known, Receiver};
use crate::story::{DEFINITIONS, Story};

/// The shop's definitions with files instead of requests, taken there; `BASE` is the receiver.
fn definitions(secrets: &str, upload: &str) -> String {
    let at = DEFINITIONS.find("[destination.request]").unwrap();
    let before = DEFINITIONS[..at].replace("token = \"acme_token\"", secrets);
    let before = before.replace("vendor_id = 7", "processor = true");
    let before = before.replace("minimum = 1", "minimum = 1\nids = \"ours\"");
    format!("{before}\n[destination.files]\nfolder = \"acme\"\n{upload}\n").replace("LABEL", "x")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The signature of a request (AWS, "Signature Version 4": canonical request, string to sign, key).
fn signature(asked: &Asked, secret: &str) -> Result<String, &'static str> {
    let said = asked.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").ok_or("scheme")?;
    let parts: BTreeMap<&str, &str> =
        said.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    let (id, scope) = parts["Credential"].split_once('/').ok_or("credential")?;
    let [date, region, "s3", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err("scope");
    };
    if id != "AKID" || region != "eu-west-1" {
        return Err("key id or region");
    }
    let payload = asked.header("x-amz-content-sha256");
    if payload != hex(&Sha256::digest(&asked.body)) {
        return Err("payload");
    }
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let mut query: Vec<String> = query
        .split('&')
        .filter(|own| !own.is_empty())
        .map(|own| if own.contains('=') { own.to_owned() } else { format!("{own}=") })
        .collect();
    query.sort();
    let signed = parts["SignedHeaders"];
    let headers: String =
        signed.split(';').map(|name| format!("{name}:{}\n", asked.header(name))).collect();
    let request =
        format!("{}\n{path}\n{}\n{headers}\n{signed}\n{payload}", asked.method, query.join("&"));
    let at = asked.header("x-amz-date");
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let key = mac(format!("AWS4{secret}").as_bytes(), date);
    let key = ["eu-west-1", "s3", "aws4_request"].iter().fold(key, |key, part| mac(&key, part));
    if parts["Signature"] == hex(&mac(&key, &text)) { Ok(at.to_owned()) } else { Err("signature") }
}

/// S3 as its reference has it: signed, in pieces of at least 5 MB, whole when it is told so.
fn s3(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if let Err(what) = signature(asked, "s3cret") {
        known.notes.insert("denied".to_owned(), what.to_owned());
        let body = b"<Error><Code>SignatureDoesNotMatch</Code></Error>";
        return (403, body.to_vec());
    }
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let Some(name) = path.strip_prefix("/acme-in/") else {
        return (404, b"<Error><Code>NoSuchBucket</Code></Error>".to_vec());
    };
    store(asked, known, (name, query))
}

/// Objects, whole or in pieces, as S3 and Google have them.
fn store(asked: &Asked, known: &mut Known, (name, query): (&str, &str)) -> (u16, Vec<u8>) {
    let text = String::from_utf8_lossy(&asked.body).into_owned();
    let query: BTreeMap<&str, &str> =
        query.split('&').map(|own| own.split_once('=').unwrap_or((own, ""))).collect();
    let pieces = |known: &Known| -> Vec<String> {
        let own = known.notes.range(format!("piece {name} ")..).map(|(place, _)| place.clone());
        own.take_while(|place| place.starts_with(&format!("piece {name} "))).collect()
    };
    match (asked.method.as_str(), query.get("partNumber"), query.contains_key("uploads")) {
        ("PUT", None, _) => {
            known.notes.insert(format!("object {name}"), text);
            (200, Vec::new())
        }
        ("POST", None, true) => {
            let body = "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>\
                        <UploadId>u1</UploadId></InitiateMultipartUploadResult>";
            (200, body.into())
        }
        ("PUT", Some(&"3"), _) if known.notes.get("refuse").is_some_and(|left| left != "0") => {
            let left: u32 = known.notes["refuse"].parse().unwrap();
            known.notes.insert("refuse".to_owned(), (left - 1).to_string());
            (503, b"<Error><Code>SlowDown</Code></Error>".to_vec())
        }
        ("PUT", Some(number), _) if query.get("uploadId") == Some(&"u1") => {
            known.notes.insert(format!("piece {name} {number:0>5}"), text);
            (200, Vec::new())
        }
        ("POST", None, false) if query.get("uploadId") == Some(&"u1") => {
            let all = pieces(known);
            let said = text.matches("<PartNumber>").count();
            let small = all.iter().rev().skip(1).any(|own| known.notes[own].len() < 5 << 20);
            if all.len() != said || small {
                known.faults.push(format!("{said} pieces of {}, small: {small}", all.len()));
                return (400, b"<Error><Code>InvalidPart</Code></Error>".to_vec());
            }
            let whole = all.iter().filter_map(|own| known.notes.remove(own)).collect();
            known.notes.insert(format!("object {name}"), whole);
            let body = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag>\
                        </CompleteMultipartUploadResult>";
            (200, body.into())
        }
        ("DELETE", None, _) => {
            pieces(known).iter().for_each(|own| drop(known.notes.remove(own)));
            known.notes.insert("aborted".to_owned(), name.to_owned());
            (204, Vec::new())
        }
        _ => {
            known.faults.push(format!("{} {}", asked.method, asked.path));
            (400, Vec::new())
        }
    }
}

/// The objects there, by name.
fn objects(partner: &Receiver) -> BTreeMap<String, String> {
    let all = partner.look(|known| known.notes.clone());
    let own = all
        .into_iter()
        .filter_map(|(name, text)| Some((name.strip_prefix("object ")?.to_owned(), text)));
    own.collect()
}

const S3: &str = "[destination.files.upload.s3]\nbucket = \"acme-in\"\nregion = \"eu-west-1\"\n\
                  endpoint = \"BASE\"\nprefix = \"from/mayfly\"";
const S3_SECRETS: &str = "key_id = \"acme_id\", key = \"acme_key\"";

fn s3_setup() -> Setup {
    Setup::new().env("MAYFLY_SECRET_ACME_ID", "AKID").env("MAYFLY_SECRET_ACME_KEY", "s3cret")
}

fn visit(story: &Story, number: usize) {
    for first in (0..number).step_by(1000) {
        let hits: Vec<Value> = (first..number.min(first + 1000))
            .map(|n| {
                json!({"site": "shop", "url": "https://shop.example/cars/1",
                       "visitor": {"space": "crm", "id": format!("c{n}")}})
            })
            .collect();
        assert_eq!(story.program.admin().post("/api/v1/hits", &json!(hits)).status, 200);
    }
}

#[test]
fn files_are_put_into_a_bucket() {
    let story = Story::with(s3_setup(), s3, |_| definitions(S3_SECRETS, S3));
    visit(&story, 3);
    let there = story.program.until("put files there", |_| {
        let all = objects(&story.partner);
        all.keys().any(|name| name.ends_with(".info")).then_some(all)
    });
    let own: Vec<&String> = there.keys().collect();
    assert!(own.iter().all(|name| name.starts_with("from/mayfly/mayfly_acme_")), "{own:?}");
    let csv = there.iter().find(|(name, _)| name.ends_with(".csv")).unwrap().1;
    story.settled();
    let last = story.destination()["last"].clone();
    assert_eq!(csv.lines().count() as u64, last["pairs"]["accepted"].as_u64().unwrap() + 1);
    // The control file is the last of a set.
    let asked = story.partner.look(|known| known.asked.clone());
    assert!(asked.iter().filter(|own| own.method == "PUT").nth(1).unwrap().path.ends_with(".info"));
    let shown = story.program.setup().ok(&["delivery", "list"]);
    assert!(shown.contains("s3://acme-in"), "{shown}");
    story.partner.check();
    // A key that the store does not take: a person looks, and nothing is lost.
    story.apply(&definitions(S3_SECRETS, &S3.replace("acme-in", "other")));
    visit(&story, 5);
    let held = story.until_state("held");
    assert_eq!(held["held"]["code"], json!("no_place"), "{held:#}");
    story.apply(&definitions(S3_SECRETS, S3));
    story.program.setup().ok(&["delivery", "resume", "acme"]);
    story.program.until("put the rest there", |_| {
        let rows: usize = objects(&story.partner)
            .iter()
            .filter(|(name, _)| name.ends_with(".csv"))
            .map(|(_, text)| text.lines().count() - 1)
            .sum();
        // Another bucket is another receiver: all five of them go, after the first three.
        (rows == 8).then_some(())
    });
    assert!(!story.program.log().contains("s3cret"));
}

/// Of a file in pieces none is there until all of them are.
#[test]
fn a_piece_that_is_refused_is_sent_again_with_its_file() {
    let codes: Vec<String> =
        (0..24).map(|n| format!("{{ segment = \"drivers\", code = \"{n:0>120}\" }}")).collect();
    let text = |upload: &str| {
        let own = definitions(S3_SECRETS, upload);
        let from = own.find("segments = [").unwrap();
        let to = from + own[from..].find('\n').unwrap();
        format!("{}segments = [{}]{}", &own[..from], codes.join(", "), &own[to..])
    };
    let story = Story::with(s3_setup(), s3, |_| {
        text(S3).replace("minimum = 1", "minimum = 1\npaused = true")
    });
    visit(&story, 5000);
    story.program.setup().ok(&["segment", "count", "drivers"]);
    // The third piece fails for as long as the library tries by itself.
    story.partner.look(|known| {
        known.notes.insert("refuse".to_owned(), "3".to_owned());
    });
    story.apply(&text(S3));
    let there = story.program.until("put a large file there", |_| {
        let all = objects(&story.partner);
        all.keys().any(|name| name.ends_with(".info")).then_some(all)
    });
    let csv = there.iter().find(|(name, _)| name.ends_with(".csv")).unwrap().1;
    assert!(csv.len() > 17 << 20, "{}", csv.len());
    assert_eq!(csv.lines().count(), 5000 * codes.len() + 1);
    assert!(story.partner.look(|known| known.notes.contains_key("aborted")));
    story.partner.check();
}

/// A path without its percent signs.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (code, rest) = part.split_at(2);
        let byte = u8::from_str_radix(code, 16).unwrap();
        format!("{text}{}{rest}", char::from(byte))
    })
}

/// Google Cloud Storage as its XML reference has it, for whoever signs with a key of his own.
fn gcs(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    let token = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let parts: Vec<Value> = token
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()))
        .map(Result::unwrap_or_default)
        .collect();
    let [head, claims] = &parts[..] else { return (401, Vec::new()) };
    if head["alg"] != json!("RS256") || claims["iss"] != json!("mayfly@acme.example") {
        return (401, Vec::new());
    }
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let path = decoded(path);
    match path.strip_prefix("/acme-in/") {
        Some(name) => store(asked, known, (name, query)),
        None => (404, b"<Error><Code>NoSuchBucket</Code></Error>".to_vec()),
    }
}

/// Azure Blob Storage as its reference has it (Put Blob, "Authorize with Shared Key").
fn azure(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    let header = |name: &str| asked.header(name);
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let ms = asked.headers.iter().filter(|(name, _)| name.starts_with("x-ms-"));
    let ms: String = ms.map(|(name, value)| format!("{name}:{value}\n")).collect();
    let length = Some(header("content-length")).filter(|own| *own != "0").unwrap_or_default();
    let text = format!(
        "{}\n{}\n{}\n{length}\n{}\n{}\n{}\n\n\n\n\n\n{ms}/acme{path}",
        asked.method,
        header("content-encoding"),
        header("content-language"),
        header("content-md5"),
        header("content-type"),
        header("date"),
    );
    let key = base64::engine::general_purpose::STANDARD;
    let signed = key.encode(mac(&key.decode(AZURE_KEY).unwrap(), &text));
    if header("authorization") != format!("SharedKey acme:{signed}") || !query.is_empty() {
        known.notes.insert("denied".to_owned(), text);
        return (403, Vec::new());
    }
    let name = path.strip_prefix("/feeds/");
    let (Some(name), "PUT", "BlockBlob") = (name, &*asked.method, header("x-ms-blob-type")) else {
        return (404, Vec::new());
    };
    let (_, body) = store(asked, known, (name, ""));
    (201, body)
}

const AZURE_KEY: &str = "c2VjcmV0IG9mIHRoZSBhY2NvdW50";

#[test]
fn files_are_put_into_buckets_of_others() {
    let rsa = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .unwrap();
    assert!(rsa.status.success());
    let setup = Setup::new();
    let secrets = setup.data().join("secrets");
    fs::create_dir_all(&secrets).unwrap();
    let google = "[destination.files.upload.gcs]\nbucket = \"acme-in\"\nprefix = \"a\"";
    let story = Story::with(setup, gcs, |_| definitions("service_account = \"gcs\"", google));
    let account = json!({
        "type": "service_account",
        "client_email": "mayfly@acme.example",
        "private_key_id": "1",
        "private_key": String::from_utf8(rsa.stdout).unwrap(),
        "gcs_base_url": story.partner.url(),
    });
    fs::write(secrets.join("gcs"), account.to_string()).unwrap();
    visit(&story, 3);
    let put = |partner: &Receiver| {
        let own = objects(partner);
        own.keys().any(|name| name.starts_with("a/") && name.ends_with(".info")).then_some(())
    };
    let is_held = |story: &Story| story.destination()["state"] == json!("held");
    if is_held(&story) {
        story.program.setup().ok(&["delivery", "resume", "acme"]);
    }
    story.program.until("put files there", |_| put(&story.partner));
    story.partner.check();

    let setup = Setup::new().env("MAYFLY_SECRET_AZURE", AZURE_KEY);
    let there = "[destination.files.upload.azure]\naccount = \"acme\"\ncontainer = \"feeds\"\n\
                 prefix = \"a\"\nendpoint = \"BASE\"";
    let story = Story::with(setup, azure, |_| definitions("key = \"azure\"", there));
    visit(&story, 3);
    story.program.until("put files there", |_| put(&story.partner));
    story.partner.check();
}

/// An SSH server of the machine's own, for one user and one key.
struct Sshd {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn keygen(file: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
}

fn user() -> String {
    let said = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

impl Sshd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keygen(&at("host"));
        keygen(&at("mine"));
        fs::create_dir(at("in")).unwrap();
        let port = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             UsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             Subsystem sftp internal-sftp\n",
            at("host").display(),
            at("mine.pub").display()
        );
        fs::write(at("sshd.conf"), config).unwrap();
        if user() == "root" {
            // Where it becomes somebody else; its package's service makes it, and does not run.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let program =
            ["/usr/sbin/sshd", "/sbin/sshd"].into_iter().find(|own| Path::new(own).exists());
        let child = Command::new(program.expect("sshd: deploy/install-test-tools.sh installs it"))
            .args(["-D", "-e", "-f"])
            .arg(at("sshd.conf"))
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        let own = Self { child, port, folder };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return own;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{}", fs::read_to_string(own.folder.path().join("log")).unwrap());
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// The destination's part of the definitions.
    fn upload(&self, host_key: &str) -> String {
        let folder = self.folder.path().join("in");
        format!(
            "[destination.files.upload.sftp]\nhost = \"localhost\"\nport = {}\nuser = \"{}\"\n\
             folder = \"{}\"\nhost_key = \"{}\"",
            self.port,
            user(),
            folder.display(),
            host_key.trim()
        )
    }

    fn files(&self) -> Vec<String> {
        let all = fs::read_dir(self.folder.path().join("in")).unwrap();
        let mut all: Vec<String> =
            all.map(|own| own.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }
}

#[test]
fn files_are_taken_there_by_sftp() {
    let sshd = Sshd::start();
    let setup = Setup::new().env("MAYFLY_SECRET_ACME_KEY", &sshd.read("mine"));
    let (right, wrong) = (sshd.read("host.pub"), sshd.read("mine.pub"));
    let secrets = "private_key = \"acme_key\"";
    let told = |_: &Asked, _: &mut Known| (500, Vec::new());
    let story = Story::with(setup, told, |_| definitions(secrets, &sshd.upload(&wrong)));
    visit(&story, 4);
    let held = story.until_state("held");
    assert_eq!(held["held"]["code"], json!("host_key"), "{held:#}");
    assert!(sshd.files().is_empty());
    story.apply(&definitions(secrets, &sshd.upload(&right)));
    story.program.setup().ok(&["delivery", "resume", "acme"]);
    story.program.until("take files there", |_| {
        sshd.files().iter().any(|name| name.ends_with(".info")).then_some(())
    });
    let all = sshd.files();
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].ends_with(".csv") && all[1].ends_with(".info"), "{all:?}");
    let csv = sshd.read(&format!("in/{}", all[0]));
    assert_eq!(csv.lines().count(), 5, "{csv}");
    // Where nobody may write, a person looks.
    let elsewhere = sshd.upload(&right).replace("/in\"", "/nowhere\"");
    story.apply(&definitions(secrets, &elsewhere));
    visit(&story, 6);
    let held = story.until_state("held");
    assert_eq!(held["held"]["code"], json!("no_place"), "{held:#}");
    story.program.stop();
}
