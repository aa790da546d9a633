//! Object stores, by a library that speaks with all of them. It connects by our own client, whose
//! guard lets nobody into private networks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mayfly_segments::destination::way::Upload;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{
    ClientOptions, Error, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart,
};
use reqwest::{Client, Url};
use tokio::io::AsyncReadExt;

use super::super::connect::{self, Connector};
use super::super::secrets::{Secrets, used_for};
use super::NotTaken;

/// Sent at a time: at least 5 MB, but for the last piece (S3, "Multipart upload limits"), and at
/// most 10,000 pieces.
const PIECE: usize = 8 << 20;
/// How often, and how long, the library tries by itself.
const RETRIES: usize = 2;
const RETRYING: Duration = Duration::from_secs(30);

/// Our client instead of the library's own.
#[derive(Debug)]
struct Guarded(Client);

impl HttpConnector for Guarded {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// The store.
pub(super) fn open(
    connector: &Connector,
    to: &Upload,
    secrets: &Secrets,
) -> Result<Arc<dyn ObjectStore>, NotTaken> {
    let client = Guarded(connector.patient().clone());
    let secret = |what: &str| used_for(secrets, what).ok_or(NotTaken::Secret);
    let retry =
        || RetryConfig { max_retries: RETRIES, retry_timeout: RETRYING, ..RetryConfig::default() };
    let may_ask = |url: &str| {
        let url = Url::parse(url).map_err(|_| connect::Unreached::BadRequest)?;
        connector.may_ask(&url)
    };
    if let Some(endpoint) = to.endpoint() {
        may_ask(endpoint)?;
    }
    let unfit = |_: Error| NotTaken::Secret;
    Ok(match to {
        Upload::S3(own) => {
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(&*own.bucket)
                .with_region(&*own.region)
                .with_access_key_id(secret("key_id")?)
                .with_secret_access_key(secret("key")?)
                // What was said of the endpoint's scheme was looked at.
                .with_allow_http(true)
                .with_retry(retry())
                .with_http_connector(client);
            if let Some(endpoint) = &own.endpoint {
                builder = builder.with_endpoint(&**endpoint);
            }
            Arc::new(builder.build().map_err(unfit)?)
        }
        Upload::Azure(own) => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_account(&*own.account)
                .with_container_name(&*own.container)
                .with_access_key(secret("key")?)
                .with_allow_http(true)
                .with_retry(retry())
                .with_http_connector(client);
            if let Some(endpoint) = &own.endpoint {
                builder = builder.with_endpoint(endpoint.to_string());
            }
            Arc::new(builder.build().map_err(unfit)?)
        }
        Upload::Gcs(own) => {
            let account = secret("service_account")?;
            let said: serde_json::Value =
                serde_json::from_str(account).map_err(|_| NotTaken::Secret)?;
            // An account's file may name another host.
            if let Some(base) = said["gcs_base_url"].as_str() {
                may_ask(base)?;
            }
            let builder = GoogleCloudStorageBuilder::new()
                .with_bucket_name(&*own.bucket)
                .with_service_account_key(account)
                .with_retry(retry())
                .with_http_connector(client);
            Arc::new(builder.build().map_err(unfit)?)
        }
        // It has no bucket: see the module beside.
        Upload::Sftp(_) => return Err(NotTaken::NoPlace),
    })
}

/// Puts a file there, whole or not at all.
pub(super) async fn put(
    store: &dyn ObjectStore,
    prefix: &str,
    folder: &Path,
    name: &str,
) -> Result<(), NotTaken> {
    let place = prefix.split('/').filter(|part| !part.is_empty()).chain([name]);
    let place: object_store::path::Path = place.collect();
    let mut file = tokio::fs::File::open(folder.join(name)).await.map_err(|_| NotTaken::File)?;
    let size = file.metadata().await.map_err(|_| NotTaken::File)?.len();
    let mut piece = Vec::new();
    if size <= PIECE as u64 {
        file.read_to_end(&mut piece).await.map_err(|_| NotTaken::File)?;
        let put = store.put(&place, PutPayload::from(piece)).await;
        return put.map(drop).map_err(why);
    }
    let upload = store.put_multipart(&place).await.map_err(why)?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PIECE);
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = (&mut file).take(PIECE as u64).read_to_end(&mut piece).await;
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => {
                upload.abort().await.ok();
                return Err(NotTaken::File);
            }
        }
        // One after the other: memory is that of two pieces.
        if let Err(error) = upload.wait_for_capacity(1).await {
            upload.abort().await.ok();
            return Err(why(error));
        }
        upload.put(piece.into());
    }
    // It takes the pieces back by itself where one was refused.
    upload.finish().await.map(drop).map_err(why)
}

/// What went wrong.
fn why(error: Error) -> NotTaken {
    // What it answered is not logged: it may hold what names our key.
    match &error {
        Error::NotFound { .. } => NotTaken::NoPlace,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => NotTaken::Denied,
        Error::InvalidPath { .. }
        | Error::Generic { .. }
        | Error::NotSupported { .. }
        | Error::AlreadyExists { .. }
        | Error::Precondition { .. }
        | Error::NotModified { .. }
        | Error::NotImplemented { .. }
        | Error::UnknownConfigurationKey { .. }
        | Error::JoinError { .. } => {
            connect::cause_of(&error).map_or(NotTaken::Failed, NotTaken::Unreached)
        }
        // The list of kinds may grow.
        _ => NotTaken::Failed,
    }
}
