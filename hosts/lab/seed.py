def seed_lab(layout,hosts,images,say): pass
