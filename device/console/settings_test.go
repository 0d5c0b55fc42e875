package console

import (
	"strings"
	"testing"
)

func TestValidateNamesEveryKey(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := Settings{
		Listen: "8080", TLS: TLS{Certificate: "/data/tls/box.pem"},
		Users: map[string]User{"anna": {Role: "root"}, "bert": {PasswordHash: "x", Role: "viewer"}},
	}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	var keys []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		key, _, _ := strings.Cut(line, ":")
		keys = append(keys, key)
	}
	if got := strings.Join(keys, " "); got != "listen tls.key users.anna.password_hash users.anna.role" {
		t.Errorf("keys: %s", got)
	}
	for _, listen := range []string{"", "localhost", "localhost:http", ":65536"} {
		if err := (Settings{Listen: listen}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "listen: ") {
			t.Errorf("listen %q: %v", listen, err)
		}
	}
}

func TestNotActiveBeyondLoopback(t *testing.T) {
	for listen, active := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:0": true, "[::1]:8080": true,
		":8080": false, "0.0.0.0:8080": false, "192.0.2.1:8080": false, "box.local:8080": false, "8080": false,
	} {
		if err := (Settings{Listen: listen}).NotActive(); (err == nil) != active {
			t.Errorf("listen %s: %v", listen, err)
		}
	}
	for name, s := range map[string]Settings{
		"users": {Listen: "127.0.0.1:8080", Users: map[string]User{"anna": {}}},
		"tls":   {Listen: "127.0.0.1:8080", TLS: TLS{Certificate: "c", Key: "k"}},
	} {
		if err := s.NotActive(); err == nil || !strings.Contains(err.Error(), "not active in this version") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
