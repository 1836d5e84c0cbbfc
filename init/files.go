package pid1

import (
	"fmt"
	"os"
	"path/filepath"
)

// maxFile bounds the files that are read before a start. They may be anything,
// a device or a pipe that nobody writes to included.
const maxFile = 1 << 20

// readFile reads a file that a setting names. Not through the loop: it may be
// on a file system that hangs.
func (l *launcher) readFile(variable, name string) ([]byte, error) {
	path := l.absolute(name)
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot use %s=%q: not a regular file", variable, name)
	}
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("cannot use %s=%q: it has %d bytes, accepted are at most %d", variable, name, info.Size(), maxFile)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use %s=%q: %w", variable, name, err)
	}
	return data, nil
}

// absolute takes a path as the user who started swapinit meant it, whose
// working directory is not the init's.
func (l *launcher) absolute(name string) string {
	if filepath.IsAbs(name) || l.dir == "" {
		return name
	}
	return filepath.Join(l.dir, name)
}

// resolveDir finds the child's working directory as it is now: behind a
// symbolic link there may be another release than at the last start.
func (l *launcher) resolveDir() (string, error) {
	if l.set.Dir == "" {
		return l.childDir, nil
	}
	dir, err := filepath.EvalSymlinks(l.absolute(l.set.Dir))
	if err != nil {
		return "", fmt.Errorf("cannot use SWAPINIT_DIR=%q: %w", l.set.Dir, err)
	}
	return dir, nil
}

// realPath is the path behind symbolic links, for people: the program is run by
// the name under which it was found, because some look at it.
func realPath(path, dir string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
