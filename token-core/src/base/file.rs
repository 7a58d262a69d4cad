//! The path of a file that an operator names in, its bytes out, and never more of them than such a file may have.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Why the bytes of a file are not there.
#[derive(Debug)]
pub(crate) enum Unread {
    Failed(io::Error),
    TooLong(u64),
}

/// Reads a file. What has no length of its own, such as a pipe or a device, is read up to the cap, too.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(Unread::Failed)?;
    if bytes.len() as u64 > most { Err(Unread::TooLong(most)) } else { Ok(bytes) }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "cannot be read: {error}"),
            Self::TooLong(most) if most % (1 << 20) == 0 => write!(f, "larger than {} MiB", most >> 20),
            Self::TooLong(most) => write!(f, "larger than {} KiB", most >> 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_the_cap_whatever_the_file_says_of_its_length() {
        let path = std::env::temp_dir().join(format!("token-file-{}", std::process::id()));
        std::fs::write(&path, [b'a'; 2048]).unwrap();
        assert_eq!(read(&path, 2048).unwrap().len(), 2048);
        assert_eq!(read(&path, 1024).unwrap_err().to_string(), "larger than 1 KiB");
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path, 1).unwrap_err().to_string().starts_with("cannot be read"));
        // A device that never ends.
        if cfg!(unix) {
            assert_eq!(read(Path::new("/dev/zero"), 1 << 20).unwrap_err().to_string(), "larger than 1 MiB");
        }
    }
}
