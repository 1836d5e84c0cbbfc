package spawn

import (
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/file"
	"github.com/swapinit/swapinit/internal/text"
	"golang.org/x/sys/unix"
)

// User is whom a child runs as. Its environment stays as it is: HOME, USER and
// LOGNAME are not set; a program that needs them is given them in the environment.
type User struct {
	Uid, Gid uint32
	Groups   []uint32 // supplementary, as for setgroups(2); empty clears them
	Name     string   // from /etc/passwd, "" if not listed

	// gidImplied: nobody asked for this gid, it follows from the user alone.
	gidImplied bool
}

// LookupUser understands "uid", "uid:gid", "name", "name:group" and mixtures,
// as docker run --user does, from /etc/passwd and /etc/group (a FROM scratch
// image has neither: use numbers). Digits are always a number.
//
// The gid, when not given, is that of /etc/passwd; for a uid that is not
// listed our own if the uid is ours, else 0 as with Docker. Supplementary
// groups go to a user given by name and without a group: all of /etc/group
// that list the name, and its own. A bare uid, or a stated group, has none.
func LookupUser(s string) (*User, error) {
	var files [2]string
	for n, name := range [...]string{"/etc/passwd", "/etc/group"} {
		data, err := file.Read(name)
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			return nil, text.Errorf("cannot look up users: %w", err)
		}
		files[n] = string(data)
	}
	return lookupUser(s, files[0], files[1])
}

func lookupUser(s, passwd, group string) (*User, error) {
	name, groupName, hasGroup := strings.Cut(s, ":")
	if name == "" || hasGroup && groupName == "" {
		return nil, bad("malformed user ", s, ": accepted are uid, uid:gid, name and name:group")
	}
	u, err := findUser(name, passwd)
	switch {
	case err != nil:
		return nil, err
	case hasGroup:
		u.gidImplied = false
		if u.Gid, err = findGroup(groupName, group); err != nil {
			return nil, err
		}
	case u.Name == name:
		u.Groups = groupsOf(u, group)
	}
	return u, nil
}

// findUser reads passwd(5): name:password:uid:gid:gecos:home:shell.
func findUser(name, passwd string) (*User, error) {
	uid, numeric, err := number(name)
	if err != nil {
		return nil, bad("cannot use ", name, " as a user: "+err.Error())
	}
	for _, f := range entries(passwd) {
		gid, ok, err := number(f.fields[3])
		if !ok || err != nil || numeric && f.id != uid || !numeric && f.fields[0] != name {
			continue
		}
		return &User{Uid: f.id, Gid: gid, Name: f.fields[0], gidImplied: true}, nil
	}
	if !numeric {
		return nil, bad("unknown user ", name, ": it is not in /etc/passwd; name one that is, or give a number (uid or uid:gid)")
	}
	user := &User{Uid: uid, gidImplied: true}
	if int(uid) == os.Getuid() {
		user.Gid = uint32(os.Getgid())
	}
	return user, nil
}

// findGroup reads group(5): name:password:gid:members.
func findGroup(name, group string) (uint32, error) {
	gid, numeric, err := number(name)
	if err != nil {
		return 0, bad("cannot use ", name, " as a group: "+err.Error())
	}
	if numeric {
		return gid, nil
	}
	for _, f := range entries(group) {
		if f.fields[0] == name {
			return f.id, nil
		}
	}
	return 0, bad("unknown group ", name, ": it is not in /etc/group; name one that is, or give a number")
}

// groupsOf is what initgroups(3) sets: the user's own group first, then all
// that list it.
func groupsOf(u *User, group string) []uint32 {
	list := []uint32{u.Gid}
	for _, f := range entries(group) {
		if !slices.Contains(list, f.id) && slices.Contains(strings.Split(f.fields[3], ","), u.Name) {
			list = append(list, f.id)
		}
	}
	return list
}

// entry is a line of either file: at least four fields, a name first and an id
// third.
type entry struct {
	fields []string
	id     uint32
}

// entries passes over lines that are not like that, as libc does.
func entries(file string) (list []entry) {
	for _, line := range strings.Split(file, "\n") {
		f := strings.Split(line, ":")
		if len(f) < 4 || f[0] == "" {
			continue
		}
		if id, ok, err := number(f[2]); ok && err == nil {
			list = append(list, entry{f, id})
		}
	}
	return list
}

// number tells digits from names. 2^32-1 is no id: to the kernel it says
// "leave as it is".
func number(s string) (n uint32, numeric bool, err error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false, nil
	}
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil || v == math.MaxUint32 {
		return 0, true, errors.New("accepted are numbers from 0 to 4294967294")
	}
	return uint32(v), true, nil
}

// OwnStdio makes the user the owner of our fds 0 to 2 where they are pipes, or as PID 1
// terminals, of our own, as runc does for --user (fixStdioPermissions): to open
// /dev/stderr again asks the inode. Elsewhere a terminal is somebody's who logged in; a
// file or a device has a path, where it would stay the user's. Where it is refused (no
// CAP_CHOWN) they stay as they are.
func (u *User) OwnStdio() {
	for fd := range 3 {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) != nil || int(st.Uid) != os.Geteuid() {
			continue
		}
		_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if st.Mode&syscall.S_IFMT == syscall.S_IFIFO || err == nil && os.Getpid() == 1 {
			_ = syscall.Fchown(fd, int(u.Uid), -1)
		}
	}
}

// isUs says whether there is nothing to change but, at most, a gid that nobody
// asked for.
func (u *User) isUs() bool {
	uid := int(u.Uid)
	return uid == os.Getuid() && uid == os.Geteuid() && (u.gidImplied || int(u.Gid) == os.Getgid())
}

func (u *User) String() string {
	if u.Name != "" {
		return u.Name
	}
	return strconv.FormatUint(uint64(u.Uid), 10)
}
