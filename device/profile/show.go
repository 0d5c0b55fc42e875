package profile

// Show returns the text of a message that was kept, as the named profile reads it:
// decoded from the character set that Raw names, that of the profile, or that of
// the protocol's rules. U+FFFD stands for bytes that the set does not have.
// It works on a nil Set.
func (s *Set) Show(profile string, m Raw) string {
	if p := s.called(profile); m.Charset == "" && p != nil {
		m.Charset = p.charset
	}
	charset, _ := m.encoding() // its problem stands in the envelope
	text, _ := decode(m.Text, charset)
	return unmarked(text)
}

// FieldNames returns what the named profile calls the fields of a record or
// segment, by their numbers. It is nil where the profile is not there; it works on a
// nil Set.
func (s *Set) FieldNames(profile, record string) map[int]string {
	p := s.called(profile)
	if p == nil {
		return nil
	}
	names := map[int]string{}
	for n, f := range p.fields[record] {
		if f != nil {
			names[n] = f.name
		}
	}
	return names
}

func (s *Set) called(name string) *profile {
	if s == nil {
		return nil
	}
	return s.profiles[name]
}
