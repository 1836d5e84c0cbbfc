package arbiter

import (
	"strconv"
	"testing"

	"github.com/swapinit/swapinit/internal/shares"
)

// with makes an arbiter that n members have joined, the first of which holds.
func with(t *testing.T, n int) *rig {
	t.Helper()
	r := newRig()
	for i := range n {
		id := strconv.Itoa(i + 1)
		say(t, r, &Join{Session: Session(i + 1), Member: "m" + id, Life: id})
	}
	say(t, r, &Moved{1, 1})
	return r
}

// say gives an event, and answers each Save.
func say(t *testing.T, r *rig, e Event) (all []Effect) {
	t.Helper()
	effects, err := r.step(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range effects {
		all = append(all, f)
		if f, ok := f.(*Save); ok {
			all = append(all, say(t, r, &Saved{Number: f.Number})...)
		}
	}
	return all
}

func has[E Effect](effects []Effect) (found E, n int) {
	for _, f := range effects {
		if f, ok := f.(E); ok {
			found, n = f, n+1
		}
	}
	return found, n
}

// 64 members are remembered; the oldest that is not connected is forgotten first, and one
// that is forgotten and comes back is a new one.
func TestMembersAreBounded(t *testing.T) {
	r := with(t, maxMembers)
	if _, n := has[*Refuse](say(t, r, &Join{Session: 100, Member: "more", Life: "1"})); n != 1 {
		t.Error("a member more than can be remembered was not refused")
	}
	say(t, r, &Ended{6})
	say(t, r, &Ended{5})
	if w, n := has[*Welcome](say(t, r, &Join{Session: 101, Member: "more", Life: "1"})); n != 1 || w.Order != maxMembers+1 {
		t.Errorf("there is room, and it got %v", w)
	}
	if r.a.find("m5") != nil || r.a.find("m6") == nil {
		t.Error("not the oldest one was forgotten")
	}
	if w, n := has[*Welcome](say(t, r, &Join{Session: 102, Member: "m5", Life: "2"})); n != 1 || w.Order != maxMembers+2 || r.a.find("m6") != nil {
		t.Errorf("it came back as %v", w)
	}
	if len(r.a.State().Members) != maxMembers {
		t.Errorf("%d members", len(r.a.State().Members))
	}
	say(t, r, &Ended{1})
	say(t, r, &Join{Session: 103, Member: "holder", Life: "1"})
}

// Of a member one request waits; what it has asked for before is answered.
func TestRequestsAreBounded(t *testing.T) {
	r := with(t, 2)
	say(t, r, &Turn{1, 1})
	for id := range 100 {
		effects := say(t, r, &Ask{Session: 2, ID: id + 1, Generation: 1, Share: shares.Full})
		if a, n := has[*Answer](effects); n != min(id, 1) || n == 1 && (a.ID != id || a.Reason == "") {
			t.Fatalf("ask %d: answer %v", id+1, a)
		}
	}
	if len(r.a.queue) != 1 {
		t.Errorf("%d requests wait", len(r.a.queue))
	}
}

// Verbs that wait for the disk are bounded.
func TestVerbsAreBounded(t *testing.T) {
	r := with(t, 2)
	if _, err := r.step(&Settled{1}); err != nil { // its Save has no answer
		t.Fatal(err)
	}
	for id := range uint64(maxVerbs + 1) {
		effects, err := r.step(&Promote{id + 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, n := has[*Reply](effects); n == 1 != (id == maxVerbs) {
			t.Fatalf("verb %d: %d replies", id+1, n)
		}
	}
}

// What a state file has that was edited is not trusted.
func TestEditedState(t *testing.T) {
	s := State{Epoch: 3, Last: 1, Holder: "gone"}
	for i := range 2 * maxMembers {
		s.Members = append(s.Members, Member{Container: "m" + strconv.Itoa(i/2), Order: i})
	}
	a := New(s, true)
	if got := a.State(); len(got.Members) != maxMembers || got.Holder != "" || got.Last != 2*maxMembers-2 || got.Epoch != 3 {
		t.Errorf("%v", got)
	}
}
