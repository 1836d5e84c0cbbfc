package gate

import "errors"

// Sleep has a TCP endpoint refuse connections until Wake. What waits is reset.
func (e *Endpoints) Sleep(name string) error {
	one, err := e.tcpOf(name)
	if err == nil {
		one.tcp.Sleep()
	}
	return err
}

// Wake ends Sleep.
func (e *Endpoints) Wake(name string) error {
	one, err := e.tcpOf(name)
	if err == nil {
		err = one.tcp.Wake()
	}
	return err
}

// Asleep reports whether the endpoint refuses connections.
func (e *Endpoints) Asleep(name string) bool {
	one, err := e.tcpOf(name)
	return err == nil && one.tcp.Asleep()
}

// Listening makes the queues of a TCP endpoint that long at least.
func (e *Endpoints) Listening(name string, backlog int) error {
	one, err := e.tcpOf(name)
	if err == nil {
		one.tcp.SetBacklog(backlog)
	}
	return err
}

// Twin opens the endpoint of the other address family than name's, unless it is open, and
// returns its name. It takes over the connections of that family. It waits.
func (e *Endpoints) Twin(name string) (string, error) {
	one, err := e.tcpOf(name)
	if err != nil {
		return "", err
	}
	e.twins.Lock()
	twin := TwinName(name)
	if e.find(twin) == nil {
		spec, ok := one.Spec.Twin()
		if ok && one.of == nil {
			err = e.openTCP(spec, one) // the kept ones, where Open calls
		} else {
			twin, err = "", errors.New("endpoint "+name+" has no other address family")
		}
	}
	e.twins.Unlock()
	return twin, err
}

// Tidy closes the twins that no slot has, of endpoints that a slot serves: it has those
// connections itself then. To be called when the one that has the traffic has settled;
// before, its server may yet ask for the twin in which connections wait.
func (e *Endpoints) Tidy() {
	e.twins.Lock()
	for _, one := range e.list() {
		if one.of == nil || one.tcp.Holders() > 0 || one.of.tcp.Unserved() {
			continue
		}
		var others []*endpoint
		e.mu.Lock()
		for _, other := range e.all {
			if other != one {
				others = append(others, other)
			}
		}
		e.all = others
		e.mu.Unlock()
		one.tcp.Sleep() // a server may have it still
		e.set.Part(one.group)
		one.group.Close()
	}
	e.twins.Unlock()
}
