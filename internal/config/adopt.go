package config

import "strconv"

// Adopt is the value of SWAPINIT_ADOPT: auto, on, off, or a list of ports.
type Adopt string

// Has reports whether a port that is no endpoint is to be adopted.
func (a Adopt) Has(port uint16) bool {
	ports, all, _ := a.read()
	for _, p := range ports {
		if p == port {
			return true
		}
	}
	return all
}

// read is the ports in it; all: on; ok: it is a value.
func (a Adopt) read() (ports []uint16, all, ok bool) {
	switch a {
	case "on":
		return nil, true, true
	case "auto", "off":
		return nil, false, true
	}
	for _, word := range list(string(a)) {
		port, err := strconv.ParseUint(word, 10, 16)
		if err != nil || port == 0 {
			return nil, false, false
		}
		ports = append(ports, uint16(port))
	}
	return ports, false, len(ports) > 0
}
