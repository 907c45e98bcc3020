//! What is kept elsewhere and read back: files of the lake, how far it was read back, the object that guards checkpoints,
//! the cursor of a stream, and what is remembered of work that is not done.

use lake::File;

/// Says whether bytes are a file of the lake, every leaf of it.
pub(crate) fn is_lake_file(bytes: &[u8]) -> bool {
    open(bytes).is_some_and(|file| file.leaves().all(|leaf| leaf.is_ok()))
}

fn open(bytes: &[u8]) -> Option<File> {
    File::open(bytes.to_vec().into()).ok()
}

/// A file that opens has one record for each leaf of its span, or an error after which nothing comes; whatever it says of
/// itself, it does not have a root that nobody can know.
pub(crate) fn lake_file(bytes: &[u8]) {
    let Some(file) = open(bytes) else { return };
    assert!(file.verify(&[0; 32]).is_err());
    let (mut leaves, mut errors) = (0, 0);
    for leaf in file.leaves() {
        assert_eq!(errors, 0, "nothing comes after an error");
        match leaf {
            Ok(_) => leaves += 1,
            Err(_) => errors += 1,
        }
    }
    assert!(errors == 1 || leaves == file.span().leaves());
}

/// A mark that is read is written as one that reads the same.
pub(crate) fn lake_mark(bytes: &[u8]) {
    if let Some(again) = lake::fuzzing::mark(bytes) {
        assert_eq!(lake::fuzzing::mark(&again).as_ref(), Some(&again));
    }
}

/// An object that is read is written as one that reads the same.
pub(crate) fn checkpoint_object(bytes: &[u8]) {
    if let Some(again) = lake::fuzzing::checkpoint_object(bytes) {
        assert_eq!(lake::fuzzing::checkpoint_object(&again).as_ref(), Some(&again));
    }
}

/// A cursor that is read is spelled in one way only.
pub(crate) fn siem_cursor(bytes: &[u8]) {
    if let Some(next) = views::fuzzing::cursor(bytes) {
        assert_eq!(format!("{next}\n").as_bytes(), bytes);
    }
}

/// What is remembered of hours reads back as it was written.
pub(crate) fn schedule(bytes: &[u8]) {
    reads_back(bytes, meter::fuzzing::schedule);
}

/// What is remembered of the steps of a production reads back as it was written.
pub(crate) fn production_state(bytes: &[u8]) {
    reads_back(bytes, produce::fuzzing::state);
}

/// What is remembered of the entries of a production reads back as it was written.
pub(crate) fn production_survey(bytes: &[u8]) {
    reads_back(bytes, produce::fuzzing::survey);
}

fn reads_back(bytes: &[u8], rewritten: fn(&[u8]) -> Option<Vec<u8>>) {
    if let Some(again) = rewritten(bytes) {
        assert_eq!(rewritten(&again).as_ref(), Some(&again));
    }
}
