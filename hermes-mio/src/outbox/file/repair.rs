//! A new file in place of one that is damaged, or that a disk has failed.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::database::{Edit, Problem, Tables};
use super::salvage::Salvage;
use super::{FileOutbox, Survives, open_tables};
use crate::{OutboxError, private_file};

impl FileOutbox {
    /// Copies all records into a new file, which takes the place of this one: after a failed sync
    /// nobody knows which pages the disk has.
    pub(super) fn rewrite(&self, tables: &Tables) -> Result<(), OutboxError> {
        let copied =
            self.replace(None, |copy| tables.visit_all(|record| copy.edit([Edit::of(record)])));
        copied.map_err(|error| self.failure("rewrite (its disk failed)", error))
    }

    /// Sets a damaged file aside, and puts a new one in its place with the messages that can be read.
    /// Returns the report of it.
    pub(super) fn take_along(&self, problem: &str) -> Result<OutboxError, OutboxError> {
        let aside = private_file::aside_name(&self.path);
        let search_and_replace = || {
            let mut file = File::open(&self.path)?;
            let salvage = Salvage::search(&mut file)?;
            self.replace(Some(&aside), |tables| {
                salvage.records(&mut file, |record| tables.edit([Edit::of(record)]))
            })?;
            Ok(salvage.len())
        };
        match search_and_replace() {
            Ok(messages) => Ok(OutboxError::Damaged {
                path: self.path.clone(),
                problem: problem.to_owned(),
                aside,
                messages,
            }),
            Err(error) => Err(self.failure("set aside (it is damaged)", error)),
        }
    }

    /// Puts a new file in place of this one, which moves to `aside`. At any moment there is one of
    /// them, whole.
    pub(super) fn replace(
        &self,
        aside: Option<&Path>,
        fill: impl FnOnce(&Tables) -> Result<(), Problem>,
    ) -> io::Result<()> {
        let temporary = private_file::temporary_beside(&self.path)?;
        // Synced as a whole at the end.
        let file = temporary.as_file().try_clone()?;
        let filled = open_tables(file, Survives::Process, &self.sync_failed)
            .and_then(|tables| fill(&tables));
        filled.map_err(Problem::into_io)?;
        temporary.as_file().sync_all()?;
        if let Some(aside) = aside {
            // A system without links has a moment without the file.
            fs::hard_link(&self.path, aside).or_else(|_| fs::rename(&self.path, aside))?;
        }
        temporary.persist(&self.path).map_err(|failure| failure.error)?;
        private_file::sync_directory(private_file::parent(&self.path))
    }
}
