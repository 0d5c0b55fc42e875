package rauctest

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

const (
	service = "de.pengutronix.rauc"
	face    = "de.pengutronix.rauc.Installer"
)

// Bundle is what RAUC finds in a file.
type Bundle struct {
	Compatible, Version string
	// Refused is why RAUC does not take the bundle as one; "" where it does.
	Refused string
	// Install plays the installation: it says how far it is, and returns RAUC's reason for
	// its failure. Nil is an installation that succeeds at once.
	Install func(say func(percent int, step string)) error
}

// Slot is one of the stand-in's two slots, by its bootname.
type Slot struct {
	Booted, Good bool
	Version      string // of the bundle that was installed last
}

// RAUC is the stand-in. It has the faces and the manners of RAUC 1.8 and later, also the odd ones: who
// calls for an installation during another is refused, and makes it say that it is idle.
type RAUC struct {
	conn       *dbus.Conn
	properties *prop.Properties

	mu         sync.Mutex
	compatible string
	bundles    map[string]Bundle
	slots      map[string]Slot
	primary    string
	busy       bool
	whenBusy   func()
}

// NewRAUC puts the stand-in on the bus, where it stays until the test ends: slot A
// runs, and both are good.
func (b *Bus) NewRAUC(t testing.TB, compatible string) *RAUC {
	t.Helper()
	r := &RAUC{
		compatible: compatible, bundles: map[string]Bundle{}, primary: "A", whenBusy: func() {},
		slots: map[string]Slot{"A": {Booted: true, Good: true}, "B": {Good: true}},
	}
	var err error
	if r.conn, err = dbus.Connect(b.Address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Die)
	value := func(v any) *prop.Prop { return &prop.Prop{Value: v, Emit: prop.EmitTrue, Writable: true} }
	r.properties, err = prop.Export(r.conn, "/", prop.Map{face: {
		"Operation": value("idle"), "LastError": value(""), "Compatible": value(compatible), "Variant": value(""),
		"BootSlot": value("A"), "Progress": value(progress{}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.conn.Export(methods{r}, "/", face); err != nil {
		t.Fatal(err)
	}
	if reply, err := r.conn.RequestName(service, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RAUC's name is not to be had: %v, %v", reply, err)
	}
	return r
}

type progress struct {
	Percent int32
	Step    string
	Depth   int32
}

// Put makes the bundle be what the file is.
func (r *RAUC) Put(file string, bundle Bundle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bundles[file] = bundle
}

// WhenBusy has a function called each time that RAUC shows no slots since it is at an
// installation.
func (r *RAUC) WhenBusy(call func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whenBusy = call
}

// Slot returns how a slot is, and whether it is the first to be started.
func (r *RAUC) Slot(bootname string) (slot Slot, primary bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slots[bootname], r.primary == bootname
}

// Restart makes the stand-in that of a box that was started anew, from a slot. What
// RAUC had noted in memory is gone.
func (r *RAUC) Restart(bootname string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, slot := range r.slots {
		slot.Booted, slot.Version = name == bootname, ""
		r.slots[name] = slot
	}
}

// Die ends RAUC, whatever it is doing.
func (r *RAUC) Die() { r.conn.Close() }

func (r *RAUC) set(property string, value any) {
	_ = r.properties.Set(face, property, dbus.MakeVariant(value)) // fails once RAUC has died
}

func (r *RAUC) bundle(file string) (Bundle, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bundle, is := r.bundles[file]
	switch {
	case !is:
		return bundle, errors.New("Invalid bundle format: Failed to open bundle for reading: Error opening file " + file + ": No such file or directory")
	case bundle.Refused != "":
		return bundle, errors.New(bundle.Refused)
	}
	return bundle, nil
}

// install is what RAUC's thread does.
func (r *RAUC) install(file string) {
	r.set("LastError", "")
	err := r.write(file)
	result := int32(0)
	if err != nil {
		r.set("LastError", err.Error())
		r.say(100, "Installing failed.")
		result = 1
	} else {
		r.say(100, "Installing done.")
	}
	r.mu.Lock()
	r.busy = false
	r.mu.Unlock()
	_ = r.conn.Emit("/", face+".Completed", result) // nobody hears a RAUC that has died
	r.set("Operation", "idle")
}

func (r *RAUC) write(file string) error {
	r.say(0, "Installing")
	bundle, err := r.bundle(file)
	if err != nil {
		return err
	}
	if bundle.Compatible != r.compatible {
		return errors.New("Compatible mismatch: Expected '" + r.compatible + "' but bundle manifest has '" + bundle.Compatible + "'")
	}
	other := r.other()
	r.mark(other, func(s *Slot) { s.Good = false }) // it is not started before it is whole
	if bundle.Install != nil {
		if err := bundle.Install(r.say); err != nil {
			return err
		}
	}
	r.mark(other, func(s *Slot) { s.Good, s.Version = true, bundle.Version })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.primary = other
	return nil
}

func (r *RAUC) say(percent int, step string) { r.set("Progress", progress{int32(percent), step, 1}) }

func (r *RAUC) other() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, slot := range r.slots {
		if !slot.Booted {
			return name
		}
	}
	return ""
}

func (r *RAUC) mark(bootname string, change func(*Slot)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := r.slots[bootname]
	change(&slot)
	r.slots[bootname] = slot
}

// methods are what RAUC has on the bus.
type methods struct{ rauc *RAUC }

func failed(text string) *dbus.Error {
	return dbus.NewError("org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code30", []any{text})
}

// InstallBundle begins an installation.
func (m methods) InstallBundle(file string, args map[string]dbus.Variant) *dbus.Error {
	for key := range args {
		return failed("Unsupported key: " + key)
	}
	m.rauc.mu.Lock()
	busy := m.rauc.busy
	m.rauc.busy = true
	m.rauc.mu.Unlock()
	if busy {
		m.rauc.set("Operation", "idle")
		return failed("Already processing a different method")
	}
	m.rauc.set("Operation", "installing")
	go m.rauc.install(file)
	return nil
}

// Info says what a bundle is.
func (m methods) Info(file string) (compatible, version string, err *dbus.Error) {
	bundle, why := m.rauc.bundle(file)
	if why != nil {
		return "", "", failed("rauc info error")
	}
	return bundle.Compatible, bundle.Version, nil
}

type slotStatus struct {
	Name   string
	Status map[string]dbus.Variant
}

// GetSlotStatus tells of the slots, in no order.
func (m methods) GetSlotStatus() ([]slotStatus, *dbus.Error) {
	m.rauc.mu.Lock()
	defer m.rauc.mu.Unlock()
	if m.rauc.busy {
		m.rauc.whenBusy()
		return nil, failed("already processing a different method")
	}
	rows := []slotStatus{{"bootfs.0", map[string]dbus.Variant{"class": dbus.MakeVariant("bootfs"), "state": dbus.MakeVariant("inactive")}}}
	for i, bootname := range slices.Backward(slices.Sorted(maps.Keys(m.rauc.slots))) {
		slot, status := m.rauc.slots[bootname], map[string]dbus.Variant{}
		for key, value := range map[string]string{
			"class": "rootfs", "type": "raw", "bootname": bootname, "device": "/dev/assaygate/rootfs-" + bootname,
			"boot-status": word(slot.Good, "good", "bad"), "state": word(slot.Booted, "booted", "inactive"), "bundle.version": slot.Version,
		} {
			if value != "" {
				status[key] = dbus.MakeVariant(value)
			}
		}
		rows = append(rows, slotStatus{"rootfs." + string(rune('0'+i)), status})
	}
	return rows, nil
}

func word(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// Mark marks a slot.
func (m methods) Mark(state, identifier string) (name, message string, err *dbus.Error) {
	bootname := map[string]string{"booted": "A", "rootfs.0": "A", "other": "B", "rootfs.1": "B"}[identifier]
	if bootname == "" {
		return "", "", failed("No slot with class rootfs and name " + identifier + " found")
	}
	name = map[string]string{"A": "rootfs.0", "B": "rootfs.1"}[bootname]
	switch state {
	case "good", "bad":
		m.rauc.mark(bootname, func(s *Slot) { s.Good = state == "good" })
		return name, "marked slot " + name + " as " + state, nil
	case "active":
		m.rauc.mu.Lock()
		defer m.rauc.mu.Unlock()
		m.rauc.primary = bootname
		return name, "activated slot " + name, nil
	}
	return "", "", failed("unknown subcommand " + state)
}
