package login

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"time"
)

const (
	// freeFailures is how many failures are taken for mistyping.
	freeFailures = 3
	// longestPause is how long anybody has to wait at most.
	longestPause = time.Minute
	// forgetAfter is for how long failures are remembered after the last one.
	forgetAfter = 15 * time.Minute
	// mostFailing bounds how many addresses, and how many names, are remembered.
	mostFailing = 1024
	// mostKnown bounds how many addresses are remembered that somebody came from.
	mostKnown = 64
)

// attempts knows who has failed lately, by address and by name. After a few
// failures each further one doubles the pause, from a second to a minute.
//
// The pause for a name holds whoever has failed at his own address too, and no
// longer than a minute after that: else anybody could keep a person out by
// guessing at her name. So a person who knows her password gets in at once from an
// address of her own, and a minute after her last mistake otherwise.
//
// An address that somebody has logged in from counts for itself, whatever others of
// its network do, and has a place at the desk that the others cannot take.
type attempts struct {
	addresses, names failures
	known            map[[sha256.Size]byte]time.Time // addresses, by their last login
	salt             [16]byte                        // names are kept as digests: some people type their password there
}

// failures are those of many keys.
type failures map[[sha256.Size]byte]failing

// failing is how one of them did.
type failing struct {
	count int
	last  time.Time // the last failure
	until time.Time // the end of the pause
}

func newAttempts() *attempts {
	a := &attempts{addresses: failures{}, names: failures{}, known: map[[sha256.Size]byte]time.Time{}}
	rand.Read(a.salt[:]) // it never fails
	return a
}

// wait is how long it takes until an attempt from the address for the name is
// allowed; 0: it is now.
func (a *attempts) wait(address netip.Addr, name string, now time.Time) time.Duration {
	own := a.addresses.at(a.address(address), now)
	until := own.until
	if own.count > 0 {
		shared := a.names.at(a.name(name), now).until
		if mine := own.last.Add(longestPause); shared.After(mine) {
			shared = mine
		}
		if shared.After(until) {
			until = shared
		}
	}
	return max(0, until.Sub(now))
}

// failed counts a failure.
func (a *attempts) failed(address netip.Addr, name string, now time.Time) {
	a.addresses.add(a.address(address), now)
	a.names.add(a.name(name), now)
}

// succeeded forgets the failures for a name, and knows the address from now on. The
// failures of that stay until they are old: who may log in could else guess at others
// without a pause.
func (a *attempts) succeeded(address netip.Addr, name string, now time.Time) {
	delete(a.names, a.name(name))
	was, itself := a.address(address), a.itself(address)
	if one, has := a.addresses[was]; has && was != itself {
		a.addresses[itself] = one
	}
	a.known[itself] = now
	if len(a.known) > mostKnown {
		delete(a.known, oldest(a.known, func(at time.Time) time.Time { return at }))
	}
}

// knows reports whether somebody has logged in from the address.
func (a *attempts) knows(address netip.Addr) bool {
	_, is := a.known[a.itself(address)]
	return is
}

// itself is the key of one address alone.
func (a *attempts) itself(address netip.Addr) [sha256.Size]byte {
	return a.digest("address", address.Unmap().WithZone("").String())
}

// address is the key of an address; of IPv6 that of its network, of which one
// computer has as many addresses as it likes. Link-local addresses are all of one
// network and tell neighbours apart.
func (a *attempts) address(address netip.Addr) [sha256.Size]byte {
	if a.knows(address) {
		return a.itself(address)
	}
	address = address.Unmap().WithZone("")
	if address.Is6() && !address.IsLoopback() && !address.IsLinkLocalUnicast() {
		if network, err := address.Prefix(64); err == nil {
			address = network.Addr()
		}
	}
	return a.digest("address", address.String())
}

func (a *attempts) name(name string) [sha256.Size]byte { return a.digest("name", name) }

// digest is one of a text of the kind, that nobody can compute outside.
func (a *attempts) digest(kind, text string) [sha256.Size]byte {
	return sha256.Sum256(append(a.salt[:], kind+" "+text...))
}

// at is how the key did lately.
func (f failures) at(key [sha256.Size]byte, now time.Time) failing {
	one := f[key]
	if now.Sub(one.last) > forgetAfter {
		return failing{}
	}
	return one
}

func (f failures) add(key [sha256.Size]byte, now time.Time) {
	one := f.at(key, now)
	one.count, one.last = one.count+1, now
	if over := one.count - freeFailures; over > 0 {
		one.until = now.Add(min(longestPause, time.Second<<min(over-1, 6)))
	}
	f[key] = one
	if len(f) > mostFailing {
		delete(f, oldest(f, func(one failing) time.Time { return one.last }))
	}
}

// oldest is the key of what is longest ago.
func oldest[V any](all map[[sha256.Size]byte]V, when func(V) time.Time) (key [sha256.Size]byte) {
	var at time.Time
	for other, one := range all {
		if last := when(one); at.IsZero() || last.Before(at) {
			key, at = other, last
		}
	}
	return key
}
