//! Checkpoints: changed cells and cursors of dirty days, and memberships, written behind.

use std::collections::BTreeSet;
use std::time::Instant;

use mayfly_core::{CategoryId, Day, DayCells, Timestamp};
use mayfly_store::{DayCheckpoint, DayHeader, Membership, StoreError, chunk_of};

use super::partition::Task;

/// Which of a day's cells are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// Those that changed since the last checkpoint.
    Changed,
    /// All: so that what reading leaves out (erased visitors) is gone from the store.
    All,
}

/// Everything that is dirty, and the memberships.
pub(super) async fn write(task: &mut Task, now: Timestamp) -> Result<(), StoreError> {
    let Some(lease) = task.lease.clone() else { return Ok(()) };
    let started = Instant::now();
    let changed = |day: &Day| task.slot.read(|i| !i.changed(*day).is_empty()).unwrap_or(false);
    let dirty: Vec<Day> = task
        .days
        .iter()
        .filter(|(day, d)| d.cursor != d.stored.cursor || changed(day))
        .map(|(day, _)| *day)
        .collect();
    for day in &dirty {
        write_day(task, *day, Scope::Changed, now).await?;
    }
    // Memberships outlive no more than a day after their evaluation: each day renews them.
    if task.memberships != now.day() && !task.days.is_empty() {
        let memberships = memberships(task, now);
        task.app.store().checkpoint(&lease, &[], &memberships, now).await?;
        task.memberships = now.day();
        task.app.metrics().checkpoint.observe(started.elapsed().as_secs_f64());
    }
    task.evict();
    Ok(())
}

/// One day, whether or not its cursor moved.
pub(super) async fn write_day(
    task: &mut Task,
    day: Day,
    scope: Scope,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Some(lease), Some(state)) = (task.lease.clone(), task.days.get(&day).copied()) else {
        return Ok(());
    };
    task.bring(day).await?;
    let mut changed = task.slot.read(|index| index.changed(day)).unwrap_or_default();
    if scope == Scope::All {
        changed.extend(task.active.cells().into_iter().map(|cell| cell.category));
        changed.extend((0..CHUNKS).map(CategoryId));
    }
    let cells = chunks(task, day, &changed);
    // A change under way is not complete before its switch.
    let header = DayHeader { cursor: state.cursor, complete: task.active.version() };
    let from = state.stored.cursor;
    let write = DayCheckpoint { day, from, header, cells: &cells, changed: &changed };
    task.app.store().checkpoint(&lease, &[write], &[], now).await?;
    task.slot.write(|index| index.clear_changed(day));
    // Those of before are still true where nothing but entries without hits came.
    if !changed.is_empty() {
        task.memberships = None;
    }
    if let Some(state) = task.days.get_mut(&day) {
        state.stored = header;
    }
    Ok(())
}

/// Categories that between them touch every chunk.
const CHUNKS: u32 = 32;

/// The cells of every category that shares a chunk with a changed one.
fn chunks(task: &Task, day: Day, changed: &BTreeSet<CategoryId>) -> DayCells {
    let chunks: BTreeSet<u16> = changed.iter().map(|c| chunk_of(*c)).collect();
    let wanted = task.slot.write(|index| {
        let all = index.day_cells(day)?.iter();
        let ours = all.filter(|(id, _)| chunks.contains(&chunk_of(id.category)));
        Some(ours.map(|(id, cell)| (*id, cell.clone())).collect())
    });
    wanted.flatten().unwrap_or_default()
}

fn memberships(task: &Task, now: Timestamp) -> Vec<Membership> {
    let version = task.active.version();
    let all = task.slot.read(|index| {
        let segments = index.compiled().segments().iter();
        segments
            .map(|segment| Membership {
                segment: segment.id,
                version,
                as_of: now,
                members: index.members(segment.id).cloned().unwrap_or_default(),
            })
            .collect()
    });
    all.unwrap_or_default()
}
