// Package watch tells that a watched file or directory is another one than
// before. It looks when it is told to and holds no fd in between: inotify says
// nothing on many of the file systems that containers get from elsewhere.
//
// What counts of a path:
//
//   - where it leads once every symbolic link is resolved, so that a switched
//     link, as of releases or of a Kubernetes volume, is a change;
//   - that it is another file or directory by its inode. A new inode number
//     with the old times is none, as some network file systems renumber;
//   - a file's content, up to 64 MiB; of a larger one inode, size and mtime;
//   - in a directory, the names, the content of the files and the text of the
//     links, 8 levels deep and up to 10000 entries; what is beyond that is not
//     seen. A link to a file counts with the content of that file, a link to a
//     directory is not followed. Sockets, pipes and devices do not count;
//   - whether it is there at all.
//
// Times, modes and owners do not count: a mere touch is no change. Content is
// read only when inode, size, mtime or ctime changed. What cannot be read for a
// lack of rights counts by its name; a path that cannot be looked at for another
// reason counts as unchanged until it can.
//
// A change counts when two looks in a row find the same new state, so nothing
// is reported while a file is being written or is away for the moment that
// replacing it takes; with a look every 2 s that is up to 4 s after the change.
// For the same reason a file that is written all the time hides every change of
// the directory that it is in, and what the server itself writes in there makes
// each swap ask for the next one: watch what is deployed, not what runs.
package watch
