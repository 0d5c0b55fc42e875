package console

import (
	"fmt"
	"strings"
	"testing"
)

// hashOfSecret is that of "correct horse battery", with the least that is taken.
const hashOfSecret = "$argon2id$v=19$m=4096,t=1,p=1$c2FsdCBvZiB0ZXN0cw$LPkkwpUteg2hiMpk27yfhFj+SglqM3KvnVKw8qM+MyQ"

func TestValidateNamesEveryKey(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := Settings{
		Listen: "8080", TLS: TLS{Certificate: "/data/tls/box.pem"},
		Users: map[string]User{
			"anna": {Role: "root"}, "bert": {PasswordHash: hashOfSecret, Role: "viewer"}, "carl": {PasswordHash: "x", Role: "admin"},
			"dora": {PasswordHash: hashOfSecret, Password: "x", Role: "admin"}, "emil": {Password: "x", Role: "admin"},
			"Emil": {Password: "x", Role: "admin"}, "fritz m": {Password: "x", Role: "admin"},
		},
	}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	var keys []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		key, _, _ := strings.Cut(line, ":")
		keys = append(keys, key)
	}
	if got := strings.Join(keys, " "); got != "listen tls.key users.anna.password_hash users.anna.role users.carl.password_hash users.dora.password users users" {
		t.Errorf("keys: %s\n%v", got, err)
	}
	for _, listen := range []string{"localhost", "localhost:http", ":65536"} {
		if err := (Settings{Listen: listen}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "listen: ") {
			t.Errorf("listen %q: %v", listen, err)
		}
	}
	if err := (Settings{}).Validate(); err != nil {
		t.Errorf("no console: %v", err)
	}
	many := Settings{Listen: ":8080", Users: map[string]User{}}
	for i := range mostUsers + 1 {
		many.Users[fmt.Sprint("u", i)] = User{Password: "x", Role: "admin"}
	}
	if err := many.Validate(); err == nil || !strings.HasPrefix(err.Error(), "users: there are 101") {
		t.Errorf("got %v", err)
	}
}

func TestClosedBeyondLoopbackWithoutUsers(t *testing.T) {
	users := map[string]User{"anna": {Password: "x", Role: "admin"}}
	for listen, loopback := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:0": true, "[::1]:8080": true, "127.8.9.10:1": true,
		":8080": false, "0.0.0.0:8080": false, "192.0.2.1:8080": false, "box.local:8080": false, "8080": false,
	} {
		s := Settings{Listen: listen}
		if err := s.Closed(); (err == nil) != loopback {
			t.Errorf("listen %s: %v", listen, err)
		}
		if s.Secure() == loopback {
			t.Errorf("listen %s: TLS %v", listen, s.Secure())
		}
		s.Users = users
		if err := s.Closed(); err != nil {
			t.Errorf("listen %s with users: %v", listen, err)
		}
		s.TLS = TLS{Certificate: "c", Key: "k"}
		if !s.Secure() {
			t.Errorf("listen %s with a certificate: no TLS", listen)
		}
	}
}
