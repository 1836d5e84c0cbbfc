package reaper

import (
	"syscall"

	goreaper "github.com/ramr/go-reaper"
)

// routeAll routes s and whatever else is there already, and lends go-reaper a
// hand as long as there are dead children. In a storm of deaths it makes a
// goroutine for each, at the price of a thread's wake-up and fresh memory; each
// that is reaped here saves one.
func (r *Reaper) routeAll(s goreaper.Status, more <-chan goreaper.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, ok := 0, true; ok; n++ {
		r.route(s)
		if n == maxBatch {
			return // others want the lock; go-reaper goes on by itself
		}
		select {
		case s = <-more:
		default:
			ok = more != nil && reapOne(&s)
		}
	}
}

// reapOne reaps a child that is dead already, if there is one: wait4(2).
func reapOne(s *goreaper.Status) bool {
	s.Pid, s.Err = syscall.Wait4(-1, &s.WaitStatus, syscall.WNOHANG, nil)
	return s.Pid > 0 && s.Err == nil
}

// route finds the owner of a status. It never waits, or statuses would be lost
// behind it. r.mu is held.
func (r *Reaper) route(s goreaper.Status) {
	if s.Err != nil || s.Pid <= 0 || !(s.WaitStatus.Exited() || s.WaitStatus.Signaled()) {
		return
	}
	r.stats.Received++
	if p := r.owned[s.Pid]; p != nil {
		r.deliver(p, s.WaitStatus, &r.stats.Routed)
		return
	}
	if _, ok := r.late[s.Pid]; ok {
		delete(r.late, s.Pid)
		r.stats.Late++
		return
	}
	if r.starting == 0 || len(r.early) >= maxEarly {
		r.orphan(s.Pid, s.WaitStatus)
		return
	}
	if ws, ok := r.early[s.Pid]; ok {
		r.orphan(s.Pid, ws) // the pid was used twice while we forked
	}
	if r.early == nil {
		r.early = map[int]syscall.WaitStatus{}
	}
	r.early[s.Pid] = s.WaitStatus
}

// deliver gives a status that bears p's pid to p. While p has not been reaped
// the status cannot be its own: it was on its way while the pid was given again.
func (r *Reaper) deliver(p *Process, ws syscall.WaitStatus, how *int) {
	if !p.reaped() {
		r.stats.Stale++
		r.orphan(p.pid, ws)
		return
	}
	*how++
	delete(r.owned, p.pid)
	p.status <- ws // buffered, and nothing is sent after the delete
}

// orphan reports a status that is nobody's.
func (r *Reaper) orphan(pid int, ws syscall.WaitStatus) {
	r.stats.Orphans++
	if r.orphans == nil {
		return
	}
	select {
	case r.orphans <- orphan{pid, ws}:
	default:
		r.stats.Dropped++
	}
}

// forget ends the wait for p's status and counts how that came; false when the
// router has delivered it meanwhile, which then has been counted already.
func (r *Reaper) forget(p *Process, how *int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(p.status) > 0 {
		return false
	}
	*how++
	if r.owned[p.pid] == p { // else the number has a new owner, see deliver
		delete(r.owned, p.pid)
		if how != &r.stats.Waitid { // that one go-reaper can never have
			r.swallow(p.pid)
		}
	}
	return true
}

// mistaken puts right what deliver could not know: ws, taken for the status of
// the watched process pid, was an earlier bearer's. The true one is to come.
func (r *Reaper) mistaken(pid int, ws syscall.WaitStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Stale++
	r.orphan(pid, ws)
	if r.owned[pid] == nil {
		r.swallow(pid)
	}
}

// swallow lets route drop the next status of pid: its owner has it already.
func (r *Reaper) swallow(pid int) {
	if len(r.late) >= maxLate {
		clear(r.late) // at worst an orphan is reported that was none
	}
	r.late[pid] = struct{}{}
}
