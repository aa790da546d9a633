//! Certificates of the public listener: read at the start, and anew when the file changes, without
//! a connection lost.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate in force.
#[derive(Debug)]
pub(super) struct Certificate {
    files: (PathBuf, PathBuf),
    key: RwLock<Arc<CertifiedKey>>,
    last: RwLock<Last>,
}

/// When each of the two files was changed.
type Changed = [Option<SystemTime>; 2];

/// The last try to read them.
#[derive(Debug)]
struct Last {
    of: Changed,
    /// It may have come upon files that were half written.
    failed: bool,
}

impl Certificate {
    /// Reads the chain and the key.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no certificate or key.
    pub(super) fn open(files: (PathBuf, PathBuf)) -> anyhow::Result<Arc<Self>> {
        let last = RwLock::new(Last { of: changed(&files), failed: false });
        let key = RwLock::new(read(&files)?);
        Ok(Arc::new(Self { files, key, last }))
    }

    /// What listeners need: TLS 1.2 and 1.3; HTTP/2 and 1.1.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(config)
    }

    /// Takes a changed certificate; one that cannot be read changes nothing.
    pub(super) fn refresh(&self) {
        let now = changed(&self.files);
        let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
        let is_told = last.of == now;
        if is_told && !last.failed {
            return;
        }
        let key = read(&self.files);
        *last = Last { of: now, failed: key.is_err() };
        match key {
            Ok(key) => {
                *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
                tracing::info!("the certificate was read anew");
            }
            Err(error) if !is_told => {
                tracing::error!(%error, "the changed certificate is not used")
            }
            Err(_) => {}
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read((chain, key): &(PathBuf, PathBuf)) -> anyhow::Result<Arc<CertifiedKey>> {
    let of = |path: &PathBuf| format!("http.tls_certificate, http.tls_key: {}", path.display());
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .with_context(|| of(chain))?;
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| of(key))?;
    let provider = ring::default_provider();
    let key = CertifiedKey::from_der(certificates, private, &provider).with_context(|| of(key))?;
    Ok(Arc::new(key))
}

fn changed((chain, key): &(PathBuf, PathBuf)) -> Changed {
    [chain, key].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
}
