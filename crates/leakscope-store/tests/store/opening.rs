//! Who may open a folder, and what is said to those who may not.

use leakscope_store::{Store, StoreError};

#[test]
fn a_second_writer_is_told_which_process_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    let expected = format!(
        "the data folder `{}` is in use by process {}; stop it or choose another folder",
        folder.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    drop(first);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let path = folder.path().join("leakscope.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE meta SET value = 99 WHERE key = 'version'", []).unwrap();
    drop(db);
    let error = Store::open(folder.path()).unwrap_err();
    let expected =
        format!("`{}` has format version 99, this leakscope reads up to 2; use a newer leakscope", path.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("leakscope.db"), vec![b'x'; 5_000]).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { found, .. } if found == "no SQLite database"), "{error}");
}

#[test]
fn another_programs_database_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leakscope.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE notes(text)").unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, StoreError::Foreign { found, .. } if found == "another program's SQLite database"),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn a_new_folder_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let store = Store::open(&folder).unwrap();
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    drop(store);
}
