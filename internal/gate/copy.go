package gate

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// program is the name of the copy in the volume, what a member's entrypoint names.
const program = "swapinit"

// copyProgram puts the program from into dir, so that no image of a member needs to
// contain it. Members mount the volume, and may be able to write to it: nothing that
// is there is followed or written into, the copy is made under a name that nobody
// knows and moved into its place. Where the same is there already nothing happens.
func copyProgram(from, dir string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	d, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(d)
	if sameProgram(source, d) {
		return nil
	}
	temporary := ".swapinit-" + strconv.FormatUint(rand.Uint64(), 16)
	fd, err := unix.Openat(d, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return err
	}
	to := os.NewFile(uintptr(fd), temporary)
	_, err = source.Seek(0, io.SeekStart)
	if err == nil {
		err = copyBytes(to, source)
	}
	if err == nil {
		err = unix.Fchmod(fd, 0o755) // whatever the umask is
	}
	if err == nil {
		err = to.Sync()
	}
	if e := to.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = unix.Renameat(d, temporary, d, program)
	}
	if err != nil {
		_ = unix.Unlinkat(d, temporary, 0)
	}
	return err
}

// copyBytes is io.Copy, which knows sockets, pipes and the files of other systems too, in
// 41 KB of the binary.
func copyBytes(to, from *os.File) error {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sameProgram: the directory has the program already, ours, and anybody may execute it.
func sameProgram(source *os.File, dir int) bool {
	fd, err := unix.Openat(dir, program, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	there := os.NewFile(uintptr(fd), program)
	defer there.Close()
	var a, b unix.Stat_t
	if err = unix.Fstat(int(source.Fd()), &a); err != nil {
		return false
	}
	if err = unix.Fstat(fd, &b); err != nil || b.Mode != unix.S_IFREG|0o755 || int(b.Uid) != os.Geteuid() || a.Size != b.Size {
		return false // of another owner: who could change it later
	}
	var x, y [32 << 10]byte
	for {
		n, err := io.ReadFull(source, x[:])
		m, _ := io.ReadFull(there, y[:])
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return false
		}
		if err != nil {
			return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		}
	}
}

// shareProgram is copyProgram for the volume of the socket at path; what it returns
// is for the log, as a gate without the copy is as good for members that have their own.
func shareProgram(path string) error {
	dir := filepath.Dir(path)
	if err := copyProgram("/proc/self/exe", dir); err != nil {
		return text.Errorf("cannot put a copy of this program into %s (%w): members need a swapinit of their own", dir, err)
	}
	if noexec(dir) {
		return errors.New("nothing in " + dir + " can be executed (it is mounted noexec): members need a swapinit of their own")
	}
	return nil
}

func noexec(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}
