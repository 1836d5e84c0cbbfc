package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

// replace puts a new file where one is.
func replace(t *testing.T, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	must(t, os.Rename(path+".new", path))
}

func link(t *testing.T, to, path string) {
	t.Helper()
	must(t, os.Symlink(to, path+".new"))
	must(t, os.Rename(path+".new", path))
}

// touch sets the times, to another moment each time, some of them long ago.
var touched = time.Now().Add(-time.Hour)

func touch(t *testing.T, path string) {
	t.Helper()
	touched = touched.Add(time.Second)
	must(t, os.Chtimes(path, touched, touched))
}

func quiet(t *testing.T, w *Watch, looks int) {
	t.Helper()
	for i := range looks {
		if changed, what := w.Look(); changed {
			t.Fatalf("look %d: %s changed", i+1, what)
		}
	}
}

// once wants the change at the second look and never again.
func once(t *testing.T, w *Watch, path string) {
	t.Helper()
	quiet(t, w, 1)
	if changed, what := w.Look(); !changed || what != path {
		t.Fatalf("changed: %v, %q", changed, what)
	}
	quiet(t, w, 3)
}

func newLook() *look {
	return &look{sums: map[stamp]uint64{}}
}

// scene is a folder with something of everything.
func scene(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/file", "one")
	write(t, dir+"/outside", "one")
	write(t, dir+"/tree/a", "one")
	write(t, dir+"/tree/sub/b", "one")
	write(t, dir+"/releases/1/main", "same")
	write(t, dir+"/releases/2/main", "same")
	must(t, os.Mkdir(dir+"/tree/empty", 0o755))
	link(t, "../outside", dir+"/tree/link")
	link(t, "../releases/1", dir+"/tree/release")
	link(t, "..", dir+"/tree/sub/loop")
	link(t, "nowhere", dir+"/tree/dangling")
	link(t, "circle", dir+"/tree/circle")
	link(t, "releases/1", dir+"/current")
	link(t, "file", dir+"/alias")
	return dir
}

func TestChange(t *testing.T) {
	for _, c := range []struct {
		name, path string // from the scene
		do         func(t *testing.T, dir string)
	}{
		{"content", "file", func(t *testing.T, dir string) { write(t, dir+"/file", "two") }},
		{"longer content", "file", func(t *testing.T, dir string) { write(t, dir+"/file", "one and two") }},
		{"emptied", "file", func(t *testing.T, dir string) { write(t, dir+"/file", "") }},
		{"content, times kept", "file", func(t *testing.T, dir string) {
			st, err := os.Stat(dir + "/file")
			must(t, err)
			write(t, dir+"/file", "two")
			must(t, os.Chtimes(dir+"/file", st.ModTime(), st.ModTime()))
		}},
		{"replaced", "file", func(t *testing.T, dir string) { replace(t, dir+"/file", "two") }},
		{"replaced by the same", "file", func(t *testing.T, dir string) {
			replace(t, dir+"/file", "one")
			touch(t, dir+"/file") // a new ctime, even on a clock that ticks slowly
		}},
		{"removed", "file", func(t *testing.T, dir string) { must(t, os.Remove(dir+"/file")) }},
		{"created", "absent", func(t *testing.T, dir string) { write(t, dir+"/absent", "") }},
		{"created with its parent", "absent/file", func(t *testing.T, dir string) { write(t, dir+"/absent/file", "") }},
		{"parent became a file", "tree/a", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir+"/tree"))
			write(t, dir+"/tree", "")
		}},
		{"file became a directory", "file", func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/file"))
			must(t, os.Mkdir(dir+"/file", 0o755))
		}},
		{"switched link to a file", "alias", func(t *testing.T, dir string) { link(t, "outside", dir+"/alias") }},
		{"content behind a link", "alias", func(t *testing.T, dir string) { write(t, dir+"/file", "two") }},
		{"switched link to a directory", "current", func(t *testing.T, dir string) { link(t, "releases/2", dir+"/current") }},
		{"switched parent", "current/main", func(t *testing.T, dir string) { link(t, "releases/2", dir+"/current") }},
		{"content behind a parent", "current/main", func(t *testing.T, dir string) { write(t, dir+"/releases/1/main", "other") }},
		{"link became dangling", "current", func(t *testing.T, dir string) { link(t, "releases/3", dir+"/current") }},
		{"target of a link removed", "current", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/releases")) }},

		{"tree: content", "tree", func(t *testing.T, dir string) { write(t, dir+"/tree/a", "two") }},
		{"tree: content below", "tree", func(t *testing.T, dir string) { write(t, dir+"/tree/sub/b", "two") }},
		{"tree: new file", "tree", func(t *testing.T, dir string) { write(t, dir+"/tree/sub/c", "") }},
		{"tree: new directory", "tree", func(t *testing.T, dir string) { must(t, os.Mkdir(dir+"/tree/c", 0o755)) }},
		{"tree: removed file", "tree", func(t *testing.T, dir string) { must(t, os.Remove(dir+"/tree/sub/b")) }},
		{"tree: removed directory", "tree", func(t *testing.T, dir string) { must(t, os.Remove(dir+"/tree/empty")) }},
		{"tree: renamed", "tree", func(t *testing.T, dir string) { must(t, os.Rename(dir+"/tree/a", dir+"/tree/z")) }},
		{"tree: moved", "tree", func(t *testing.T, dir string) { must(t, os.Rename(dir+"/tree/a", dir+"/tree/sub/a")) }},
		{"tree: contents swapped", "tree", func(t *testing.T, dir string) {
			write(t, dir+"/tree/a", "1")
			write(t, dir+"/tree/sub/b", "2")
		}},
		{"tree: switched link", "tree", func(t *testing.T, dir string) { link(t, "../releases/2", dir+"/tree/release") }},
		{"tree: content behind a link", "tree", func(t *testing.T, dir string) { write(t, dir+"/outside", "two") }},
		{"tree: file became a directory", "tree", func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/tree/a"))
			must(t, os.Mkdir(dir+"/tree/a", 0o755))
		}},
		{"tree: all anew", "tree", func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/tree", dir+"/old"))
			must(t, os.CopyFS(dir+"/tree", os.DirFS(dir+"/old")))
			touch(t, dir+"/tree")
		}},
		{"tree: removed", "tree", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/tree")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := scene(t)
			path := dir + "/" + c.path
			w := New([]string{dir + "/elsewhere", path})
			quiet(t, w, 3)
			c.do(t, dir)
			once(t, w, path)
		})
	}
}

func TestNoChange(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir string)
	}{
		{"touched", func(t *testing.T, dir string) { touch(t, dir+"/file") }},
		{"touched tree", func(t *testing.T, dir string) {
			for _, name := range []string{"tree", "tree/a", "tree/sub", "tree/sub/b", "outside", "releases/1"} {
				touch(t, dir+"/"+name)
			}
		}},
		{"same content written", func(t *testing.T, dir string) { write(t, dir+"/file", "one") }},
		{"mode", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/file", 0o600)) }},
		{"mode in the tree", func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/tree/a", 0o600)) }},
		{"same content replaced in the tree", func(t *testing.T, dir string) { replace(t, dir+"/tree/a", "one") }},
		{"behind a link to a directory in the tree", func(t *testing.T, dir string) { write(t, dir+"/releases/1/new", "") }},
		{"a neighbour", func(t *testing.T, dir string) { write(t, dir+"/neighbour", "") }},
		{"a socket and a pipe in the tree", func(t *testing.T, dir string) {
			must(t, unix.Mkfifo(dir+"/tree/pipe", 0o600))
			must(t, unix.Mknod(dir+"/tree/socket", unix.S_IFSOCK|0o600, 0))
		}},
		{"there and back", func(t *testing.T, dir string) {
			write(t, dir+"/tree/a", "two")
			write(t, dir+"/tree/a", "one")
			must(t, os.Rename(dir+"/file", dir+"/away"))
			must(t, os.Rename(dir+"/away", dir+"/file"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := scene(t)
			w := New([]string{dir + "/file", dir + "/tree", dir + "/absent"})
			quiet(t, w, 2)
			c.do(t, dir)
			quiet(t, w, 4)
			for _, p := range w.paths {
				if p.base != p.last {
					t.Errorf("it still compares with %+v, not %+v", p.base, p.last)
				}
			}
			// It still sees what there is to see.
			write(t, dir+"/file", "other")
			once(t, w, dir+"/file")
		})
	}
}

// A file that is away at one look and back at the next one was being replaced.
func TestReplacedUnderOurEyes(t *testing.T) {
	dir := scene(t)
	w := New([]string{dir + "/file"})
	quiet(t, w, 1)
	must(t, os.Rename(dir+"/file", dir+"/away"))
	quiet(t, w, 1)
	must(t, os.Rename(dir+"/away", dir+"/file"))
	quiet(t, w, 3)

	must(t, os.Remove(dir+"/file"))
	quiet(t, w, 1)
	write(t, dir+"/file", "two")
	once(t, w, dir+"/file")
}

func TestStillBeingWritten(t *testing.T) {
	dir := scene(t)
	w := New([]string{dir + "/file", dir + "/tree"})
	quiet(t, w, 1)
	for i := range 20 {
		write(t, dir+"/file", strings.Repeat("x", i))
		write(t, dir+"/tree/sub/b", strings.Repeat("x", i))
		quiet(t, w, 1)
	}
	if changed, what := w.Look(); !changed || what != dir+"/file" {
		t.Fatalf("changed: %v, %q", changed, what)
	}
	quiet(t, w, 3)
}

// Two paths of one deployment are one change, but a path that never comes to
// rest keeps no other from being told, nor is it ever told itself.
func TestOthersStillBeingWritten(t *testing.T) {
	dir := scene(t)
	w := New([]string{dir + "/file", dir + "/tree"})
	quiet(t, w, 1)
	write(t, dir+"/tree/a", "two")
	quiet(t, w, 1)
	write(t, dir+"/file", "two")
	quiet(t, w, 1)
	if changed, what := w.Look(); !changed || what != dir+"/file" {
		t.Fatalf("changed: %v, %q", changed, what)
	}
	quiet(t, w, 3)

	write(t, dir+"/tree/a", "three")
	told := 0
	for i := range 10 * patience {
		write(t, dir+"/file", fmt.Sprint(i))
		if changed, what := w.Look(); changed {
			if told++; what != dir+"/tree" || i != patience+1 {
				t.Fatalf("look %d: %s", i, what)
			}
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// What settled, waited for another path and then moved on has not settled.
func TestMovedOnWhileWaiting(t *testing.T) {
	dir := scene(t)
	w := New([]string{dir + "/file", dir + "/tree"})
	quiet(t, w, 1)
	write(t, dir+"/file", "two")
	quiet(t, w, 1)
	write(t, dir+"/tree/a", "two")
	quiet(t, w, 1) // the file settled
	for i := range patience {
		write(t, dir+"/file", fmt.Sprint(i))
		if changed, what := w.Look(); changed != (i == patience-1) || changed && what != dir+"/tree" {
			t.Fatalf("look %d: %v, %q", i, changed, what)
		}
	}
	// And stays as it was when the tree was reported.
	if changed, what := w.Look(); !changed || what != dir+"/file" {
		t.Fatalf("changed: %v, %q", changed, what)
	}
	quiet(t, w, 3)
}

// A clock that ticks slowly gives two contents the same times.
func TestSameTimes(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/file"
	write(t, path, "aaaa")
	w := New([]string{path})
	quiet(t, w, 1)
	for i, c := range "bcdefghijk" {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString(strings.Repeat(string(c), 4))
		must(t, err)
		must(t, f.Close())
		quiet(t, w, 1)
		if changed, _ := w.Look(); !changed {
			t.Fatalf("content %d was not seen", i)
		}
	}
}

// What is known by its stamp is not read again, and what went away is forgotten.
func TestContentIsReadOnce(t *testing.T) {
	dir := scene(t)
	w := New([]string{dir + "/file"})
	for {
		start := time.Now()
		write(t, dir+"/file", "one")
		w.Look()
		if time.Since(start) > fresh/2 {
			continue // too slow to say anything
		}
		if len(w.sums) != 0 {
			t.Error("a fresh content is trusted")
		}
		break
	}
	// ctime cannot be set; a file system that is older than all of this is the
	// one that the test's own binary is on.
	self, err := os.Executable()
	must(t, err)
	w = New([]string{self})
	for end := time.Now().Add(time.Minute); len(w.sums) == 0; quiet(t, w, 1) {
		if time.Now().After(end) {
			t.Fatal("an old content is not remembered")
		}
	}
	if len(w.sums) != 1 {
		t.Fatalf("%d contents are remembered", len(w.sums))
	}
	for key := range w.sums {
		w.sums[key]++ // so that it shows whether it is used
	}
	quiet(t, w, 1) // seen as another content, which it is not
	if w.paths[0].base == w.paths[0].last {
		t.Error("the content was read again")
	}
	w.paths[0].name = dir + "/absent"
	quiet(t, w, 1)
	if len(w.sums) != 0 {
		t.Errorf("%d contents are remembered", len(w.sums))
	}
}

// A larger file is known by inode, size and mtime.
func TestLargeFile(t *testing.T) {
	path := t.TempDir() + "/large"
	write(t, path, "")
	must(t, os.Truncate(path, contentMax+1))
	must(t, os.Chtimes(path, touched, touched))
	w := New([]string{path})
	quiet(t, w, 2)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("other")
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(path, touched, touched))
	quiet(t, w, 3)
	touch(t, path)
	once(t, w, path)
	must(t, os.Truncate(path, contentMax+2))
	must(t, os.Chtimes(path, touched, touched))
	once(t, w, path)
}

func TestDepth(t *testing.T) {
	dir := t.TempDir()
	deep := dir + strings.Repeat("/d", depthMax-1)
	write(t, deep+"/file", "one")
	write(t, deep+"/d/file", "one")
	w := New([]string{dir})
	quiet(t, w, 2)
	write(t, deep+"/d/file", "two")
	quiet(t, w, 3)
	write(t, deep+"/file", "two")
	once(t, w, dir)
}

func TestEntries(t *testing.T) {
	dir := t.TempDir()
	for i := range entriesMax + 500 {
		must(t, unix.Mknod(fmt.Sprintf("%s/%d", dir, i), unix.S_IFREG|0o644, 0))
	}
	l := newLook()
	if _, ok := l.at(dir); !ok || l.left != 0 {
		t.Errorf("ok %v, left %d", ok, l.left)
	}
	quiet(t, New([]string{dir}), 2)
}

// A pipe in place of a file is not opened, which would wait.
func TestPipe(t *testing.T) {
	dir := scene(t)
	path := dir + "/file"
	must(t, os.Remove(path))
	must(t, unix.Mkfifo(path, 0o600))
	w := New([]string{path})
	quiet(t, w, 2)
	l := newLook()
	if sum, ok := l.read(path); ok || sum != 0 || l.err != nil {
		t.Errorf("sum %d, ok %v, %v", sum, ok, l.err)
	}
	must(t, os.Remove(path))
	write(t, path, "one")
	once(t, w, path)
}

// A file system that fails says nothing about a change.
func TestUnknown(t *testing.T) {
	dir := scene(t)
	w := New([]string{dir + "/file"})
	quiet(t, w, 2)
	name := w.paths[0].name
	w.paths[0].name = dir + "/" + strings.Repeat("x", 300) // ENAMETOOLONG
	quiet(t, w, 5)
	w.paths[0].name = name
	quiet(t, w, 3)
	// Two looks in a row, that is.
	write(t, dir+"/file", "two")
	quiet(t, w, 1)
	w.paths[0].name = dir + "/" + strings.Repeat("x", 300)
	quiet(t, w, 1)
	w.paths[0].name = name
	once(t, w, name)

	// A read that fails, somewhere below.
	w = New([]string{dir + "/tree"})
	quiet(t, w, 1)
	link(t, "/proc/self/mem", dir+"/tree/link")
	quiet(t, w, 3)
	link(t, "../file", dir+"/tree/link")
	once(t, w, dir+"/tree")

	var l look
	for err, lasting := range map[error]bool{
		unix.EIO: true, unix.ESTALE: true, &fs.PathError{Err: unix.EIO}: true, unix.EMFILE: true,
		unix.EACCES: false, unix.ENOENT: false, errors.New("EOF"): false,
	} {
		l.err = nil
		if l.note(err); (l.err != nil) != lasting {
			t.Errorf("%v: %v", err, l.err)
		}
	}
}

// Some network file systems give a file a new number now and then.
func TestRenumbered(t *testing.T) {
	a := state{real: "/a", ino: 1, ctime: 5, sum: 9}
	for _, c := range []struct {
		b    state
		same bool
	}{
		{a, true},
		{state{real: "/a", ino: 2, ctime: 5, sum: 9}, true},
		{state{real: "/a", ino: 1, ctime: 6, sum: 9}, true},
		{state{real: "/a", ino: 2, ctime: 6, sum: 9}, false},
		{state{real: "/b", ino: 1, ctime: 5, sum: 9}, false},
		{state{real: "/a", ino: 1, ctime: 5, sum: 8}, false},
		{state{}, false},
	} {
		if a.same(c.b) != c.same || c.b.same(a) != c.same {
			t.Errorf("%+v and %+v", a, c.b)
		}
	}
}

func TestNoDescriptorsLeft(t *testing.T) {
	dir := scene(t)
	w := New([]string{dir, dir + "/file", dir + "/absent"})
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(entries)
	}
	quiet(t, w, 1)
	before := count()
	quiet(t, w, 50)
	if after := count(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}
