package caddymodule

// flow is what may arrive at a place.
type flow int

const (
	// flowBare are requests that have passed no directive.
	flowBare flow = 1 << iota
	// flowOther are requests that have passed that of another workspace only.
	flowOther
	// flowBareAway and flowOtherAway are such requests whose path is none of this
	// workspace's, as a matcher has told.
	flowBareAway
	flowOtherAway
	// flowBehindDirective are requests that have passed this directive.
	flowBehindDirective
	// flowChanged are such requests whose target has changed since.
	flowChanged
)

const (
	flowUnpassed = flowNear | flowBareAway | flowOtherAway
	flowNear     = flowBare | flowOther
	flowAnyBare  = flowBare | flowBareAway
	flowBehind   = flowBehindDirective | flowChanged
)

// away is what requests are that a route took for another path than this workspace's.
func away(f flow) flow {
	if f&flowBare != 0 {
		f |= flowBareAway
	}
	if f&flowOther != 0 {
		f |= flowOtherAway
	}
	return f &^ flowNear
}

// rewritten is what requests are behind rewrite.
func rewritten(f flow) flow {
	if f&flowBehindDirective != 0 {
		f = f&^flowBehindDirective | flowChanged
	}
	return moved(f)
}

// moved is what requests are whose path may have changed before they were judged.
func moved(f flow) flow {
	if f&flowBareAway != 0 {
		f |= flowBare
	}
	if f&flowOtherAway != 0 {
		f |= flowOther
	}
	return f &^ (flowBareAway | flowOtherAway)
}

// checked is what requests are that have passed the directive of another workspace.
func checked(f flow) flow {
	if f&flowBare != 0 {
		f |= flowOther
	}
	if f&flowBareAway != 0 {
		f |= flowOtherAway
	}
	return f &^ flowAnyBare
}

// behind is what requests are that have passed this directive.
func behind(f flow) flow {
	if f == 0 {
		return 0
	}
	return flowBehindDirective
}
