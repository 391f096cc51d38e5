//! Incidents: each recorded whole and durably before anyone is told of it; transitions are appended, never changed.

use leakscope_model::{
    CaptureId, Finding, Frame, Incident, IncidentId, IncidentState, Kind, Location, PathStep, Suspect, TargetId,
    Timestamp, Transition,
};
use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::store::{Durability, Store, lock};
use crate::targets::{from_sql, to_sql, unknown_name};

const KINDS: [Kind; 8] = [
    Kind::Managed,
    Kind::Native,
    Kind::Tasks,
    Kind::Descriptors,
    Kind::CacheFill,
    Kind::LoadGrowth,
    Kind::Fragmentation,
    Kind::Unknown,
];

impl Store {
    /// Records an incident as it is now: its new transitions are appended to those recorded before, everything else takes
    /// the place of what was there. On the disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the disk refuses: nothing of it is recorded, and the caller has to try again.
    pub fn record(&self, incident: &Incident) -> Result<(), StoreError> {
        let mut writer = lock(&self.writer);
        self.write(&mut writer, "an incident", Durability::Disk, |db| {
            put_incident(db, incident)?;
            put_transitions(db, incident)?;
            put_suspects(db, incident)
        })
    }

    /// Every incident, by number. Those that cannot be read are left out and counted.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the file cannot be read.
    pub fn incidents(&self) -> Result<Vec<Incident>, StoreError> {
        let found = self.read("read incidents", |db| {
            // One transaction, so that an incident and its parts are of one moment.
            let db = db.unchecked_transaction()?;
            let mut query = db.prepare_cached("SELECT id FROM incident ORDER BY id")?;
            let ids = query.query_map([], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(ids.into_iter().map(|id| (id, incident_of(&db, id))).collect::<Vec<_>>())
        })?;
        let mut incidents = Vec::with_capacity(found.len());
        for (id, incident) in found {
            match incident {
                Ok(incident) => incidents.push(incident),
                Err(error) => self.note("incident", id, &error),
            }
        }
        Ok(incidents)
    }
}

fn put_incident(db: &Transaction<'_>, incident: &Incident) -> rusqlite::Result<()> {
    let targets: Vec<String> = incident.targets.iter().map(TargetId::to_string).collect();
    db.prepare_cached(
        "INSERT OR REPLACE INTO incident(id, service, targets, state, kind, score, opened_ms, captures)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        incident.id.0 as i64,
        incident.service,
        serde_json::to_string(&targets).map_err(to_sql)?,
        incident.state.name(),
        incident.kind.name(),
        incident.score,
        incident.opened_at.as_millis(),
        ids_to_row(&incident.captures)?,
    ])
    .map(drop)
}

fn put_transitions(db: &Transaction<'_>, incident: &Incident) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO transition(incident, place, at_ms, state, cause) VALUES(?1, ?2, ?3, ?4, ?5)",
    )?;
    for (place, transition) in incident.transitions.iter().enumerate() {
        insert.execute(params![
            incident.id.0 as i64,
            place as i64,
            transition.at.as_millis(),
            transition.to.name(),
            transition.cause
        ])?;
    }
    Ok(())
}

fn put_suspects(db: &Transaction<'_>, incident: &Incident) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM suspect WHERE incident = ?1")?.execute([incident.id.0 as i64])?;
    let mut insert = db.prepare_cached(
        "INSERT INTO suspect(incident, place, title, kind, name, bytes, count, share, path, stack, location, confidence,
             reason, identity, growth_bytes, growth_count, grew_in_every_step, captures, confirmations)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?;
    for (place, finding) in incident.suspects.iter().enumerate() {
        let suspect = &finding.suspect;
        let path: Vec<StepRow> = suspect.path.iter().map(StepRow::from_model).collect();
        let stack: Vec<FrameRow> = suspect.stack.iter().map(FrameRow::from_model).collect();
        let location = suspect.location.as_ref().map(LocationRow::from_model);
        insert.execute(params![
            incident.id.0 as i64,
            place as i64,
            suspect.title,
            suspect.kind,
            suspect.name,
            suspect.bytes as i64,
            suspect.count as i64,
            suspect.share,
            serde_json::to_string(&path).map_err(to_sql)?,
            serde_json::to_string(&stack).map_err(to_sql)?,
            location.map(|location| serde_json::to_string(&location)).transpose().map_err(to_sql)?,
            suspect.confidence,
            suspect.reason,
            finding.identity,
            finding.growth_bytes,
            finding.growth_count,
            finding.grew_in_every_step,
            ids_to_row(&finding.captures)?,
            finding.confirmations,
        ])?;
    }
    Ok(())
}

fn incident_of(db: &Connection, id: i64) -> rusqlite::Result<Incident> {
    let transitions = all(db, "SELECT * FROM transition WHERE incident = ?1 ORDER BY place", id, transition_of)?;
    let suspects = all(db, "SELECT * FROM suspect WHERE incident = ?1 ORDER BY place", id, suspect_of)?;
    db.prepare_cached("SELECT * FROM incident WHERE id = ?1")?.query_row([id], |row| {
        let targets: Vec<String> = serde_json::from_str(&row.get::<_, String>("targets")?).map_err(from_sql)?;
        let kind: String = row.get("kind")?;
        Ok(Incident {
            id: IncidentId(id as u64),
            service: row.get("service")?,
            targets: targets.iter().filter_map(|target| target.parse().ok()).collect(),
            state: state_of(row)?,
            // A kind that a newer version knew is unknown to this one.
            kind: KINDS.into_iter().find(|known| known.name() == kind).unwrap_or_default(),
            score: row.get("score")?,
            opened_at: Timestamp::from_millis(row.get("opened_ms")?),
            transitions,
            captures: ids_from_row(row)?,
            suspects,
        })
    })
}

fn all<T>(
    db: &Connection,
    sql: &str,
    id: i64,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map([id], |row| read(row))?.collect()
}

fn state_of(row: &Row<'_>) -> rusqlite::Result<IncidentState> {
    let name: String = row.get("state")?;
    IncidentState::from_name(&name).ok_or_else(|| unknown_name("a state of an incident", &name))
}

fn transition_of(row: &Row<'_>) -> rusqlite::Result<Transition> {
    Ok(Transition { at: Timestamp::from_millis(row.get("at_ms")?), to: state_of(row)?, cause: row.get("cause")? })
}

fn suspect_of(row: &Row<'_>) -> rusqlite::Result<Finding> {
    let path: Vec<StepRow> = serde_json::from_str(&row.get::<_, String>("path")?).map_err(from_sql)?;
    let stack: Vec<FrameRow> = serde_json::from_str(&row.get::<_, String>("stack")?).map_err(from_sql)?;
    let location = row.get::<_, Option<String>>("location")?;
    let location: Option<LocationRow> =
        location.map(|location| serde_json::from_str(&location)).transpose().map_err(from_sql)?;
    let suspect = Suspect {
        title: row.get("title")?,
        kind: row.get("kind")?,
        name: row.get("name")?,
        bytes: row.get::<_, i64>("bytes")? as u64,
        count: row.get::<_, i64>("count")? as u64,
        share: row.get("share")?,
        path: path.into_iter().map(StepRow::into_model).collect(),
        stack: stack.into_iter().map(FrameRow::into_model).collect(),
        location: location.map(LocationRow::into_model),
        confidence: row.get("confidence")?,
        reason: row.get("reason")?,
    };
    Ok(Finding {
        suspect,
        identity: row.get("identity")?,
        growth_bytes: row.get("growth_bytes")?,
        growth_count: row.get("growth_count")?,
        grew_in_every_step: row.get("grew_in_every_step")?,
        captures: ids_from_row(row)?,
        confirmations: row.get("confirmations")?,
    })
}

/// Numbers of captures as the file has them: signed, as its own integers are.
fn ids_to_row(captures: &[CaptureId]) -> rusqlite::Result<String> {
    let ids: Vec<i64> = captures.iter().map(|capture| capture.0 as i64).collect();
    serde_json::to_string(&ids).map_err(to_sql)
}

fn ids_from_row(row: &Row<'_>) -> rusqlite::Result<Vec<CaptureId>> {
    let ids: Vec<i64> = serde_json::from_str(&row.get::<_, String>("captures")?).map_err(from_sql)?;
    Ok(ids.into_iter().map(|id| CaptureId(id as u64)).collect())
}

/// A [`PathStep`] as the file has it.
#[derive(Serialize, Deserialize)]
struct StepRow {
    edge: String,
    name: String,
    id: u64,
}

impl StepRow {
    fn from_model(step: &PathStep) -> Self {
        Self { edge: step.edge.clone(), name: step.name.clone(), id: step.id }
    }

    fn into_model(self) -> PathStep {
        PathStep { edge: self.edge, name: self.name, id: self.id }
    }
}

/// A [`Frame`] as the file has it.
#[derive(Serialize, Deserialize)]
struct FrameRow {
    function: String,
    file: Option<String>,
    line: Option<u32>,
}

impl FrameRow {
    fn from_model(frame: &Frame) -> Self {
        Self { function: frame.function.clone(), file: frame.file.clone(), line: frame.line }
    }

    fn into_model(self) -> Frame {
        Frame { function: self.function, file: self.file, line: self.line }
    }
}

/// A [`Location`] as the file has it.
#[derive(Serialize, Deserialize)]
struct LocationRow {
    file: String,
    line: u32,
    column: Option<u32>,
}

impl LocationRow {
    fn from_model(location: &Location) -> Self {
        Self { file: location.file.clone(), line: location.line, column: location.column }
    }

    fn into_model(self) -> Location {
        Location { file: self.file, line: self.line, column: self.column }
    }
}
