//! Xandr's batch segment service: sign in, ask for a URL, upload, look how far it is.
//!
//! Source: Microsoft Monetize, "Batch Segment Service", "Uploading segment data using BSS",
//! "Troubleshooting BSS uploads".

use mayfly_segments::destination::way::XandrSettings;
use serde::Deserialize;

use super::{Answer, Judged, Method, Rejected, Request, Step, by_status, code, garbled};
use crate::batch::{Batch, UserChange};
use crate::xandr_line;

/// How long until a job is looked at again, seconds: at first, and at most.
const LOOK_AGAIN_S: [u64; 2] = [5, 60];
/// How long a job may take, seconds: Xandr says a day.
const JOB_S: u64 = 25 * 3600;
/// Tokens without a good answer between them: Xandr allows ten in five minutes.
const SIGN_INS: u32 = 5;
/// After a limit of the member was passed, seconds.
const LIMIT_S: u64 = 3600;

/// Where the talk stands: what the next answer is to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Start,
    SigningIn,
    AskingUrl,
    Uploading,
    Looking,
    Waiting,
}

/// The way of one batch: one job.
#[derive(Debug)]
pub struct Xandr<'b> {
    settings: &'b XandrSettings,
    batch: &'b Batch,
    password: &'b str,
    token: Option<String>,
    job: Option<String>,
    at: At,
    sign_ins: u32,
    /// How long the job was waited for, seconds.
    waited_s: u64,
}

#[derive(Deserialize)]
struct Envelope {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: String,
    token: Option<String>,
    error_id: Option<String>,
    error_code: Option<String>,
    batch_segment_upload_job: Option<OneOrMany>,
    segment_upload: Option<Uploaded>,
}

/// Data providers get a list of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Box<Job>),
    Many(Vec<Job>),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Job {
    job_id: String,
    upload_url: String,
    phase: String,
    error_code: Option<String>,
    num_valid: Option<u64>,
    num_invalid_user: Option<u64>,
    num_invalid_format: Option<u64>,
    num_invalid_segment: Option<u64>,
    num_unauth_segment: Option<u64>,
    num_inactive_segment: Option<u64>,
    num_past_expiration: Option<u64>,
    num_invalid_timestamp: Option<u64>,
    num_other_error: Option<u64>,
}

#[derive(Deserialize)]
struct Uploaded {
    job_id: String,
}

impl<'b> Xandr<'b> {
    /// A batch; `job` is that of an upload whose end is not known yet.
    #[must_use]
    pub fn new(
        settings: &'b XandrSettings,
        batch: &'b Batch,
        password: &'b str,
        job: Option<String>,
    ) -> Self {
        let (token, at) = (None, At::Start);
        Self { settings, batch, password, token, job, at, sign_ins: 0, waited_s: 0 }
    }

    /// The upload that was begun.
    #[must_use]
    pub const fn job(&self) -> Option<&String> {
        self.job.as_ref()
    }

    /// See [`super::Talk::next`].
    pub fn next(&mut self, answer: Option<&Answer<'_>>) -> Step {
        let Some(answer) = answer else {
            return match self.at {
                At::Waiting => self.look(),
                At::Start | At::SigningIn | At::AskingUrl | At::Uploading | At::Looking => {
                    self.sign_in()
                }
            };
        };
        let read = match read(answer) {
            Ok(read) => read,
            Err(judged) => return self.missed(judged),
        };
        // The token lives two hours; an upload may take longer.
        let is_old = read.error_id.as_deref() == Some("NOAUTH") && self.at != At::SigningIn;
        if is_old && self.sign_ins < SIGN_INS {
            return self.sign_in();
        }
        if read.status != "OK" {
            return self.missed(refused(&read));
        }
        if self.at == At::Looking {
            self.sign_ins = 0;
        }
        match self.at {
            At::SigningIn => self.signed_in(read),
            At::AskingUrl => self.upload(read),
            At::Uploading => self.uploaded(read),
            At::Start | At::Looking | At::Waiting => self.looked(read),
        }
    }

    fn sign_in(&mut self) -> Step {
        self.at = At::SigningIn;
        self.sign_ins += 1;
        let auth = serde_json::json!({"username": self.settings.user, "password": self.password});
        let body = serde_json::json!({"auth": auth}).to_string().into_bytes();
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let url = format!("{}/auth", self.settings.host);
        Step::Send(Request { method: Method::Post, url, headers, body })
    }

    fn signed_in(&mut self, read: Response) -> Step {
        let Some(token) = read.token else { return Step::Done(garbled()) };
        self.token = Some(token);
        if self.job.is_some() {
            return self.look();
        }
        self.at = At::AskingUrl;
        let url =
            format!("{}/batch-segment?member_id={}", self.settings.host, self.settings.member);
        Step::Send(self.request(Method::Post, url, Vec::new()))
    }

    fn upload(&mut self, read: Response) -> Step {
        let Some(job) = read.job().filter(|job| !job.upload_url.is_empty()) else {
            return Step::Done(garbled());
        };
        self.at = At::Uploading;
        let mut lines = String::new();
        for change in &self.batch.changes {
            // Ids come from the open internet: none may add lines of its own.
            if xandr_line::takes(&self.settings.layout, &change.uid) {
                xandr_line::write(&self.settings.layout, &mut lines, self.batch, change);
            }
        }
        // Any other type makes the job fail without a word.
        let mut request = self.request(Method::Post, job.upload_url, lines.into_bytes());
        let octets = ("content-type".to_owned(), "application/octet-stream".to_owned());
        request.headers.push(octets);
        Step::Send(request)
    }

    fn uploaded(&mut self, read: Response) -> Step {
        let Some(Uploaded { job_id }) = read.segment_upload else { return Step::Done(garbled()) };
        self.job = Some(job_id);
        self.look()
    }

    fn look(&mut self) -> Step {
        let Some(job) = &self.job else { return Step::Done(garbled()) };
        self.at = At::Looking;
        let XandrSettings { host, member, .. } = self.settings;
        let url = format!("{host}/batch-segment?member_id={member}&job_id={job}");
        Step::Send(self.request(Method::Get, url, Vec::new()))
    }

    fn looked(&mut self, read: Response) -> Step {
        let Some(job) = read.job() else { return Step::Done(garbled()) };
        match job.phase.as_str() {
            "completed" => Step::Done(self.counted(&job)),
            "error" => {
                // A new job may do.
                self.job = None;
                let own = job.error_code.as_deref().unwrap_or("error");
                Step::Done(Judged::Later { after_s: Some(LOOK_AGAIN_S[1]), code: code(own) })
            }
            _ => self.wait(),
        }
    }

    /// A job goes on, whatever becomes of a look at it.
    pub(super) fn missed(&mut self, judged: Judged) -> Step {
        match (self.at, judged) {
            (At::Looking, Judged::Later { .. }) => self.wait(),
            (_, judged) => Step::Done(judged),
        }
    }

    fn wait(&mut self) -> Step {
        if self.waited_s > JOB_S {
            return Step::Done(Judged::Refused { code: "job_unfinished".into() });
        }
        self.at = At::Waiting;
        let wait_s = self.waited_s.clamp(LOOK_AGAIN_S[0], LOOK_AGAIN_S[1]);
        self.waited_s += wait_s;
        Step::Wait(wait_s)
    }

    /// Xandr counts pairs that it took, and lines, users or segments that it did not: what is
    /// missing from the first is rejected, for the reason that is counted most.
    fn counted(&self, job: &Job) -> Judged {
        let counts = [
            ("num_invalid_user", job.num_invalid_user),
            ("num_invalid_format", job.num_invalid_format),
            ("num_invalid_segment", job.num_invalid_segment),
            ("num_unauth_segment", job.num_unauth_segment),
            ("num_inactive_segment", job.num_inactive_segment),
            ("num_past_expiration", job.num_past_expiration),
            ("num_invalid_timestamp", job.num_invalid_timestamp),
            ("num_other_error", job.num_other_error),
        ];
        let (code, most) = counts.into_iter().max_by_key(|(_, n)| *n).unwrap_or_default();
        let taken = job.num_valid.and_then(|n| usize::try_from(n).ok());
        let layout = &self.settings.layout;
        let unfit =
            self.batch.changes.iter().filter(|change| !xandr_line::takes(layout, &change.uid));
        let unfit: usize = unfit.map(UserChange::pairs).sum();
        let sent = self.batch.pairs() - unfit;
        let missing = sent.saturating_sub(taken.unwrap_or(sent));
        let code = if most.is_some_and(|n| n > 0) { code } else { "not_valid" };
        let rows = [("unfit_id", unfit), (code, missing)].into_iter().filter(|(_, n)| *n > 0);
        let row = |(code, pairs): (&str, usize)| {
            let code = code.into();
            Rejected { user: None, segment: None, code, pairs, again: false }
        };
        Judged::Taken { rejected: rows.map(row).collect() }
    }

    fn request(&self, method: Method, url: String, body: Vec<u8>) -> Request {
        let token = self.token.iter().map(|token| ("authorization".to_owned(), token.clone()));
        Request { method, url, headers: token.collect(), body }
    }
}

impl Response {
    fn job(self) -> Option<Job> {
        match self.batch_segment_upload_job? {
            OneOrMany::One(job) => Some(*job),
            OneOrMany::Many(jobs) => jobs.into_iter().next(),
        }
    }
}

fn read(answer: &Answer<'_>) -> Result<Response, Judged> {
    let read: Result<Envelope, _> = serde_json::from_slice(answer.body);
    match read {
        // An error in the envelope says more than the status, but for when to come back.
        Ok(read) if answer.status < 500 && answer.status != 429 => Ok(read.response),
        Ok(_) => Err(by_status(answer)),
        Err(_) if answer.status == 200 => Err(garbled()),
        Err(_) => Err(by_status(answer)),
    }
}

fn refused(read: &Response) -> Judged {
    let own = read.error_code.as_deref().or(read.error_id.as_deref()).unwrap_or("error");
    match own {
        "FILESIZE_LIMIT_EXCEEDED" => Judged::Smaller,
        "RATE_LIMIT_EXCEEDED" | "RATE_EXCEEDED" => {
            Judged::Later { after_s: Some(LIMIT_S), code: code(own) }
        }
        other => Judged::Refused { code: code(other) },
    }
}
