package pages

import (
	"time"

	"belay/internal/injection"
)

// banner says on every page that faults on purpose are active: nobody may take what is injected for a real failure.
type banner struct {
	What, Share, By, Reason string
	Until                   moment
}

// maxBanners is how many a page has room for.
const maxBanners = 3

// banners are those of the faults that are active, the oldest first; more is how many there is no room for.
func banners(all []injection.Order, now time.Time) (list []banner, more int) {
	for _, o := range all {
		if !o.Active(now) {
			continue
		}
		if len(list) == maxBanners {
			more++
			continue
		}
		by := o.By
		if o.Worker != "" {
			by += " of " + o.Worker
		}
		list = append(list, banner{What: o.Where() + ": " + o.Does(), Share: o.Share(), By: by, Reason: o.Reason, Until: at(o.Until, now)})
	}
	return list, more
}
