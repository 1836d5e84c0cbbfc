package kernels

import (
	"bytes"
	"fmt"
	"os"
)

// archive is a cpio archive as the kernel unpacks it into its first file system
// (Documentation/driver-api/early-userspace/buffer-format.rst). It is not compressed: to
// unpack would be for the emulated machine.
type archive struct {
	out   bytes.Buffer
	inode int
	err   error // the first one
}

const (
	modeFolder = 0o040755
	modeFile   = 0o100755
	modeLink   = 0o120777
	modeDevice = 0o020600
)

func (a *archive) folder(name string)        { a.entry(name, modeFolder, nil, 0, 0) }
func (a *archive) link(name, to string)      { a.entry(name, modeLink, []byte(to), 0, 0) }
func (a *archive) text(name, content string) { a.entry(name, modeFile, []byte(content), 0, 0) }
func (a *archive) console(name string)       { a.entry(name, modeDevice, nil, 5, 1) }

func (a *archive) file(name, from string) {
	content, err := os.ReadFile(from)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.entry(name, modeFile, content, 0, 0)
}

// entry writes a header, "070701" and 13 numbers of 8 hexadecimal digits: inode, mode, uid,
// gid, links, time, size, device major and minor, the node's major and minor, the length of
// the name with its final 0, checksum; then the name and the content, padded to 4 each.
func (a *archive) entry(name string, mode int, content []byte, major, minor int) {
	a.inode++
	a.out.WriteString("070701")
	for _, n := range []int{a.inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name) + 1, 0} {
		fmt.Fprintf(&a.out, "%08x", n)
	}
	a.out.WriteString(name + "\x00")
	a.pad()
	a.out.Write(content)
	a.pad()
}

func (a *archive) pad() {
	for a.out.Len()%4 != 0 {
		a.out.WriteByte(0)
	}
}

func (a *archive) write(name string) error {
	a.entry("TRAILER!!!", 0, nil, 0, 0)
	if a.err != nil {
		return a.err
	}
	return os.WriteFile(name, a.out.Bytes(), 0o644)
}
