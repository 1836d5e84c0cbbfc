package watch

// patience is for how many looks a change waits for other paths to settle, as
// they may be of the same deployment.
const patience = 5

// Watch is a set of paths and what they were like. It is for one goroutine.
type Watch struct {
	paths []watched
	sums  map[stamp]uint64 // of the files' contents at the last look
	held  int              // looks for which a change has been waiting
}

// watched is one path.
type watched struct {
	name    string
	known   bool  // base is one
	base    state // when it was last reported, or first seen
	last    state // at the last look
	settled bool  // last is not base, and was seen twice
}

// New watches paths, which should be absolute. It does not look at them yet.
func New(paths []string) *Watch {
	w := &Watch{}
	for _, p := range paths {
		w.paths = append(w.paths, watched{name: p})
	}
	return w
}

// Look looks at every path. changed is true once for a change, and what is then
// the first path that did, as New got it. The first Look only takes note. It
// waits as long as the file systems do, so it is not for the loop; see the
// package for what it reads.
func (w *Watch) Look() (changed bool, what string) {
	l := look{old: w.sums, sums: map[stamp]uint64{}}
	moving := false
	for i := range w.paths {
		p := &w.paths[i]
		p.settled = false
		now, ok := l.at(p.name)
		switch {
		case !ok:
			p.last = p.base // what comes next was not seen before
			continue
		case !p.known:
			p.base, p.known = now, true
		case now.same(p.base):
			// Its number or its times may be new.
			p.base = now
		case now.same(p.last):
			p.settled = true
			if what == "" {
				what = p.name
			}
		default:
			moving = true
		}
		p.last = now
	}
	w.sums = l.sums
	if what == "" {
		w.held = 0
		return false, ""
	}
	if w.held++; moving && w.held <= patience {
		return false, ""
	}
	w.held = 0
	for i := range w.paths {
		if p := &w.paths[i]; p.settled {
			p.base = p.last
		}
	}
	return true, what
}
