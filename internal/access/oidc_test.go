package access

import (
	"testing"

	"belay/internal/people"
)

func TestGroupsAndRoles(t *testing.T) {
	t.Parallel()
	s := &OIDC{OIDCOptions: OIDCOptions{Claim: "roles", Roles: map[people.Role][]string{people.Approver: {"leads"}, people.Operator: {"ops", "leads"}}}}
	who := func(groups ...any) (people.Actor, error) {
		return s.identity(map[string]any{"email": "mia@example.com", "email_verified": true, "roles": groups})
	}
	if i, err := who("ops", "leads"); err != nil || i.Role != people.Approver {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err := who("ops", 7); err != nil || i.Role != people.Operator {
		t.Errorf("%+v, %v", i, err)
	}
	for _, none := range [][]any{{}, {"staff"}, {"*"}} {
		if i, err := who(none...); err == nil {
			t.Errorf("%v is %+v", none, i)
		}
	}
}
