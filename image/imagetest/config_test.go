package imagetest

import (
	"fmt"
	"slices"
	"strings"
)

// stickCase configures the box as a person does: by sticks that are plugged in while it runs.
func (b *box) stickCase() error {
	if err := b.up(); err != nil {
		return err
	}
	if b.set {
		return fmt.Errorf("the box was configured already")
	}
	const wrong = "Not all is well: one thing has to be put right (below). The configuration was not changed."
	spoilt := strings.Replace(b.config(""), "spool:", "spol:", 1)
	at := fmt.Sprintf("assaygate.yaml, line %d, column 1: spol: unknown key", strings.Count(spoilt[:strings.Index(spoilt, "spol:")], "\n")+1)
	if err := b.wantReport(b.directory, map[string]string{"assaygate.yaml": spoilt}, wrong, []string{at}); err != nil {
		return fmt.Errorf("a wrong stick on a new box: %w", err)
	}

	if err := b.working(); err != nil {
		return fmt.Errorf("the first right stick: %w", err)
	}
	if text, err := fromStick(b.directory+"/stick.img", "assaygate.yaml"); err != nil || strings.Contains(text, "password: ") {
		return fmt.Errorf("the password is still on the stick (%v)", err)
	}
	if err := b.doors(mllpPort); err != nil {
		return err
	}

	changed := b.config("    eth0.20: {addresses: [10.20.0.5/24]}\n")
	refused := map[string]string{"assaygate.yaml": changed}
	if err := b.wantReport(b.directory, refused, "Nothing was changed: this stick was not accepted.", []string{"is not signed by it"}); err != nil {
		return fmt.Errorf("a stick that the owner did not sign: %w", err)
	}
	if _, err := b.do("test ! -e /sys/class/net/eth0.20"); err != nil {
		return fmt.Errorf("a stick that was refused has changed the network: %w", err)
	}
	if err := b.wantReport(b.directory, map[string]string{"assaygate.yaml": spoilt}, wrong, []string{at, "lan: listens on :" + mllpPort + ", open"}, b.sign); err != nil {
		return fmt.Errorf("a signed stick with a mistake: %w", err)
	}
	if err := b.wantReport(b.directory, map[string]string{"assaygate.yaml": changed}, runs, nil, b.sign); err != nil {
		return fmt.Errorf("a signed stick: %w", err)
	}
	return b.poll(momentLimit, "VLAN with its address", func() (bool, error) {
		_, status, err := b.shell.run(momentLimit, "networkctl status eth0.20 2>/dev/null | grep -q 10.20.0.5")
		return status == 0, err
	})
}

// doors expects that these ports, and no others, can be reached from outside.
func (b *box) doors(ports ...string) error {
	is, err := b.listening()
	if err != nil {
		return err
	}
	// resolved answers mDNS, on a socket that the firewall closes to all but the network's own multicast.
	is = slices.DeleteFunc(is, func(port string) bool { return port == "5355" })
	if !slices.Equal(is, ports) {
		return fmt.Errorf("processes listen on the ports %v, want %v", is, ports)
	}
	rules, err := b.do("nft list chain inet assaygate configured")
	if err != nil {
		return err
	}
	for _, port := range ports {
		if !strings.Contains(rules, "dport "+port) || !strings.Contains(rules, "10.0.2.2") {
			return fmt.Errorf("the firewall does not open %s to the analyser:\n%s", port, rules)
		}
	}
	return b.unanswered(consolePort, adminPort, sshPort)
}
