//! What is known of a request besides what it asks for: the client, its language, its country.
//! Addresses come in, are looked up, and go no further.

use std::net::IpAddr;

use maxminddb::{MaxMindDbError, Reader, path};
use mayfly_core::{Client, Context, Geo, Language, language::language};

/// An operator's file of networks, in memory: `.mmdb`, with countries under `country.iso_code`
/// (MaxMind, DB-IP) or `country_code` (files made from the registries), and regions under
/// `subdivisions[0].iso_code`.
#[derive(Debug)]
pub struct Geography(Reader<Vec<u8>>);

impl Geography {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MaxMindDbError> {
        Reader::from_source(bytes).map(Self)
    }

    /// When the file was made, seconds since 1970.
    #[must_use]
    pub fn built_at_s(&self) -> u64 {
        self.0.metadata().build_epoch
    }

    /// Where an address is; unknown where the file does not say.
    #[must_use]
    pub fn locate(&self, address: IpAddr) -> Geo {
        let Ok(found) = self.0.lookup(address) else { return Geo::default() };
        let nested = found.decode_path::<&str>(&path!["country", "iso_code"]).ok().flatten();
        let country = nested
            .or_else(|| found.decode_path::<&str>(&path!["country_code"]).ok().flatten())
            .unwrap_or_default();
        let region = found.decode_path::<&str>(&path!["subdivisions", 0, "iso_code"]);
        Geo::new(country, region.ok().flatten().unwrap_or_default())
    }
}

/// What is known of a request.
pub(crate) fn context(
    client: Client,
    accept_language: Option<&str>,
    address: Option<IpAddr>,
    geography: Option<&Geography>,
) -> Context {
    let language: Option<Language> = accept_language.and_then(language);
    let geo = address.zip(geography).map(|(address, file)| file.locate(address));
    Context { client, language, geo: geo.unwrap_or_default(), network: None }
}
