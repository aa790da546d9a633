//! The operator's file of networks: read at the start, and anew when it changes.

use std::path::Path;
use std::time::SystemTime;

use mayfly_collector::{Collector, Geography};

/// Which state of the file is in force.
#[derive(Debug, Default)]
pub(super) struct GeoFile {
    read_at: Option<SystemTime>,
}

impl GeoFile {
    /// Reads the file when it is new or changed. One that cannot be read changes nothing.
    pub(super) fn refresh(&mut self, path: &Path, collector: &Collector) {
        let changed = std::fs::metadata(path).and_then(|meta| meta.modified());
        let changed = match changed {
            Ok(changed) if self.read_at == Some(changed) => return,
            Ok(changed) => changed,
            Err(error) => {
                if self.read_at.take().is_some() {
                    tracing::warn!(%error, file = %path.display(), "collector.geo_file is gone");
                }
                return;
            }
        };
        self.read_at = Some(changed);
        let read = std::fs::read(path).map_err(|e| e.to_string());
        match read.and_then(|bytes| Geography::from_bytes(bytes).map_err(|e| e.to_string())) {
            Ok(file) => {
                tracing::info!(file = %path.display(), "countries are told by this file");
                collector.set_geography(Some(file));
            }
            Err(error) => {
                tracing::error!(error, file = %path.display(), "collector.geo_file is not used");
            }
        }
    }
}
