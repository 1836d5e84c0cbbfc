// Package atomicfile keeps a small file of swapinit's own, such as the target
// file: a reader sees the old text or the new one, never a part, and in a
// directory like /tmp nobody else can choose what is read or where it is written.
package atomicfile

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

const maxLinks = 40 // as in path_resolution(7)

// Write replaces the file at name, or makes it, with mode 0644 less the umask.
// Where name is a symbolic link it stays, and the file behind it is replaced.
// After an error the file is as it was.
func Write(name string, data []byte) error {
	name, err := behind(name)
	if err != nil {
		return err
	}
	// A name that nobody can know before. O_EXCL neither follows a link nor opens
	// what is there already, a FIFO for example.
	temporary := dir(name) + ".swapinit-" + strconv.FormatUint(rand.Uint64(), 16)
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = unix.Rename(temporary, name)
	}
	if err != nil {
		_ = unix.Unlink(temporary)
	}
	if err == unix.EBUSY {
		return text.Errorf("%w: it is a mount by itself, mount the directory that it is in", err)
	}
	return err
}

// Read returns what the regular file at name holds, at most this many bytes. It
// refuses one that somebody else has put into a directory that everybody can write
// to and that has the sticky bit, as /tmp: they may just have been the first. In
// any other directory, whoever may write there is trusted, and so is whoever could
// mount the file. It does not wait for a FIFO.
func Read(name string, most int64) ([]byte, error) {
	name, err := behind(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Of the file that is open: its name may be another's by now.
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st); err != nil {
		return nil, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, errors.New("not a regular file")
	case st.Size > uint64(most):
		return nil, text.Errorf("it has %d bytes, accepted are at most %d", st.Size, most)
	case st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0:
		if err := trust(name, st.Uid); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// behind follows the links that name ends in to the file, which need not exist.
// One that Read would not trust is an error: not even the kernel follows it
// (fs.protected_symlinks in proc_sys_fs(5)), but only where that is switched on.
func behind(name string) (string, error) {
	for range maxLinks {
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return name, nil
		}
		if err := trust(name, st.Uid); err != nil {
			return "", err
		}
		to, err := os.Readlink(name)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = dir(name) + to
		}
		name = to
	}
	return "", unix.ELOOP
}

// trust is an error where uid, who has made what name is, must not be believed.
func trust(name string, uid uint32) error {
	var st unix.Stat_t
	if err := unix.Stat(dir(name), &st); err != nil {
		return err
	}
	const everybody = unix.S_ISVTX | unix.S_IWOTH
	if st.Mode&everybody != everybody || uid == 0 || uid == st.Uid || int(uid) == os.Geteuid() {
		return nil
	}
	return text.Errorf("%s belongs to uid %d, and everybody can write to its directory: chown it or choose another directory", name, uid)
}

// dir is all of name up to its last slash. Not filepath.Dir, for which a/../b is
// b also where a is a link.
func dir(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i+1]
	}
	return "./"
}
