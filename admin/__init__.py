"""Changes: one function per verb; one transaction holds the actor's check, the change, its event and its announcement.

A verb returns the changed object as its transaction left it, which is what its caller shows.
"""
