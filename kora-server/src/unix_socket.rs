//! The Unix socket's file.
//!
//! Owns: that nobody can connect before the permissions are right, that a dead server's socket is replaced and a
//! living one's is not, and that the file goes with the server. Refuses to know: who accepts. Start at [`bind`].

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::listen::ListenError;

/// Name of the socket while it stands in its private directory.
const PRIVATE_NAME: &str = "s";
/// Private directories that are tried before giving up; others are left from servers that were killed while they
/// started.
const PRIVATE_DIRECTORIES_MAX: u32 = 16;

/// The name of a listening Unix socket. Dropping it removes the name, if it is still that of our socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Where clients find it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have put its own socket there; that one stays. Nobody is left to tell of a failure.
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Listens at `path`; `mode` 0 leaves the permissions that the umask gives.
///
/// A socket is born with permissions of the umask, so it is born in a directory that only we can enter, and gets its
/// name when it has the permissions that it should have and listens.
pub(crate) fn bind(path: &Path, mode: u32, backlog: u32) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |doing| move |source| ListenError::Socket { path: path.to_owned(), doing, source };
    let address = SockAddr::unix(path).map_err(|_| too_long(path, path))?;
    remove_stale(path, &address)?;
    let directory = PrivateDirectory::beside(path).map_err(failed("creating it"))?;
    let private_path = directory.0.join(PRIVATE_NAME);
    let address = SockAddr::unix(&private_path).map_err(|_| too_long(path, &private_path))?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("creating it"))?;
    socket.set_nonblocking(true).map_err(failed("creating it"))?;
    socket.bind(&address).map_err(failed("creating it"))?;
    if mode != 0 {
        fs::set_permissions(&private_path, Permissions::from_mode(mode)).map_err(failed("setting its permissions"))?;
    }
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)).map_err(failed("listening"))?;
    let metadata = fs::symlink_metadata(&private_path).map_err(failed("looking at it"))?;
    fs::rename(&private_path, path).map_err(failed("giving it its name"))?;
    Ok((socket.into(), SocketFile { path: path.to_owned(), identity: identity(&metadata) }))
}

/// Removes a socket that nobody listens on; refuses what is in use or no socket.
fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), ListenError> {
    let failed = |doing| move |source| ListenError::Socket { path: path.to_owned(), doing, source };
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(ListenError::NotASocket(path.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at it")(error)),
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("trying whether it is in use"))?;
    // A server whose queue is full would keep us waiting otherwise; not having to wait is proof enough of its life.
    probe.set_nonblocking(true).map_err(failed("trying whether it is in use"))?;
    match probe.connect(address) {
        Ok(()) => Err(ListenError::SocketTaken(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ListenError::SocketTaken(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("removing what a dead server left"))
        }
        Err(error) => Err(failed("trying whether it is in use")(error)),
    }
}

/// The error about `path`, where `tried` did not fit a socket address.
fn too_long(path: &Path, tried: &Path) -> ListenError {
    // Of the address's bytes one is the end of the text.
    const ADDRESS_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
    let longer_by = tried.as_os_str().len().saturating_sub(path.as_os_str().len());
    ListenError::PathTooLong { path: path.to_owned(), max_bytes: ADDRESS_BYTES_MAX - longer_by }
}

/// A directory beside the socket's place, on the same file system, that only this user can enter; removed when dropped.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn beside(path: &Path) -> io::Result<Self> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut attempt = 0;
        loop {
            let directory = parent.join(format!(".k{:x}{attempt:x}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok(Self(directory)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < PRIVATE_DIRECTORIES_MAX => {
                    attempt += 1
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // The socket is in it still when something failed on the way.
        let _ = fs::remove_file(self.0.join(PRIVATE_NAME));
        let _ = fs::remove_dir(&self.0);
    }
}
